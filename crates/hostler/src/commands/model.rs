//! `hostler model list|pull|path`.

use hostler_models::catalogue::CATALOGUE;
use hostler_models::{Installed, ModelRef, Store};
use serde_json::json;

use crate::cli::{ConfigFile, ModelCommand, ServeOptions};
use crate::{configuration, models};

pub(crate) fn run(command: ModelCommand, file: ConfigFile, as_json: bool) -> anyhow::Result<()> {
    let config = configuration::load(&ServeOptions { file, ..ServeOptions::default() })?;
    let store = models::store(&config.models)?;
    match command {
        ModelCommand::List => list(&store, as_json),
        ModelCommand::Pull { id } => pull(&store, &id, as_json),
        ModelCommand::Path { id } => path(&store, &id, as_json),
    }
}

fn list(store: &Store, as_json: bool) -> anyhow::Result<()> {
    let pulled = store.list()?;
    let known = CATALOGUE.iter().filter(|entry| pulled.iter().all(|model| model.model != entry.id));
    if as_json {
        let offered: Vec<_> = known.map(|entry| json!({ "model": entry.id, "summary": entry.summary })).collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "pulled": pulled, "offered": offered }))?);
        return Ok(());
    }
    for Installed { model, path, source, .. } in &pulled {
        println!("{model}\n    pulled from {source}\n    {}", path.display());
    }
    for entry in known {
        println!("{}\n    not pulled; {} ({})", entry.id, entry.summary, entry.license);
    }
    Ok(())
}

fn pull(store: &Store, id: &str, as_json: bool) -> anyhow::Result<()> {
    let model: ModelRef = id.parse()?;
    let installed = models::pull(store, &model)?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&installed)?);
    } else {
        println!("{} is in the store: {}", installed.model, installed.path.display());
    }
    Ok(())
}

fn path(store: &Store, id: &str, as_json: bool) -> anyhow::Result<()> {
    let model: ModelRef = id.parse()?;
    let path = store.find(&model)?;
    if as_json {
        println!("{}", json!({ "model": model.to_string(), "path": path }));
    } else {
        println!("{}", path.display());
    }
    Ok(())
}
