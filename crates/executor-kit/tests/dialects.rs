//! The dialects of published models, detected from their chat templates.
//!
//! `HOSTLER_TEMPLATES` names the folder with the templates; `make test` fetches them.

use std::collections::BTreeMap;
use std::fmt::Write;

use hostler_dialect::{detect, probes};
use hostler_executor_kit::ChatTemplate;
use minijinja::Value;

/// For each template: the format of calls, whether it renders tools, the format of reasoning,
/// whether a prompt opens it.
const EXPECTED: &str = "\
Apertus-8B-Instruct: apertus renders - -
Apriel-1.6-15b-Thinker-fixed: apriel renders apriel opens
Bielik-11B-v3.0-Instruct: hermes renders think_tags opens
ByteDance-Seed-OSS: seed_oss renders seed_oss -
Cohere2MoE: cohere renders cohere opens
CohereForAI-c4ai-command-r-plus-tool_use: - renders - -
CohereForAI-c4ai-command-r7b-12-2024-tool_use: cohere renders cohere -
GLM-4.6: glm renders think_tags -
GLM-4.7-Flash: glm renders think_tags opens
GigaChat3-10B-A1.8B: - renders - -
GigaChat3.1-10B-A1.8B: gigachat renders - -
HuggingFaceTB-SmolLM3-3B: - - think_tags -
Kimi-K2-Instruct: kimi_k2 renders - -
Kimi-K2-Thinking: kimi_k2 renders think_tags -
Kimi-K3: - renders - -
LFM2-8B-A1B: - renders - -
LFM2.5-8B-A1B: - renders think_tags -
LFM2.5-Instruct: - renders - -
MiMo-VL: hermes renders - -
MiniMax-M1: minimax_m1 renders - -
MiniMax-M2: minimax_m2 renders think_tags opens
MiniMax-M3: - renders minimax_m3 -
Mistral-Small-3.2-24B-Instruct-2506: mistral renders - -
NVIDIA-Nemotron-3-Nano-30B-A3B-BF16: qwen3_coder renders think_tags opens
NVIDIA-Nemotron-Nano-v2: nemotron renders think_tags opens
NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use: hermes renders - -
NousResearch-Hermes-3-Llama-3.1-8B-tool_use: hermes renders - -
Qwen-QwQ-32B: hermes renders think_tags opens
Qwen-Qwen2.5-7B-Instruct: hermes renders - -
Qwen-Qwen3-0.6B: hermes renders think_tags -
Qwen3-Coder: qwen3_coder renders - -
Qwen3.5-4B: qwen3_coder renders think_tags opens
Reka-Edge: hermes renders think_tags opens
Spark2.5: glm renders think_tags opens
StepFun3.5-Flash: qwen3_coder renders think_tags opens
deepseek-ai-DeepSeek-R1-Distill-Llama-8B: - - think_tags opens
deepseek-ai-DeepSeek-R1-Distill-Qwen-32B: - - think_tags opens
deepseek-ai-DeepSeek-V3.1: - - think_tags opens
deepseek-ai-DeepSeek-V3.2: deepseek_v32 renders think_tags opens
deepseek-ai-DeepSeek-V4: deepseek_v4 renders think_tags opens
deepseek-ai-DeepSeek-V4-Flash-0731: deepseek_v4 renders think_tags opens
fireworks-ai-llama-3-firefunction-v2: phi4 renders - -
google-gemma-2-2b-it: - - - -
google-gemma-4-31B-it: - renders gemma4 -
google-gemma-4-31B-it-interleaved: - renders gemma4 -
ibm-granite-granite-3.3-2B-Instruct: granite3 renders granite3 -
ibm-granite-granite-4.0: hermes renders - -
ibm-granite-granite-4.1: hermes renders - -
inclusionai-ling-3.0-flash: glm renders think_tags opens
llama-cpp-deepseek-r1: deepseek_v3 renders think_tags opens
llama-cpp-rwkv-world: - - think_tags opens
meetkai-functionary-medium-v3.1: functionary renders - -
meetkai-functionary-medium-v3.2: - renders - -
meta-llama-Llama-3.1-8B-Instruct: llama3_json renders - -
meta-llama-Llama-3.2-3B-Instruct: llama3_json renders - -
meta-llama-Llama-3.3-70B-Instruct: llama3_json renders - -
microsoft-Phi-3.5-mini-instruct: - - - -
mistralai-Ministral-3-14B-Reasoning-2512: mistral renders mistral -
mistralai-Mistral-Nemo-Instruct-2407: mistral_array renders - -
moonshotai-Kimi-K2: kimi_k2 renders - -
muse-glimmer: - renders - -
openai-gpt-oss-120b: harmony renders harmony -
openbmb-MiniCPM5-1B: minicpm5 renders think_tags opens
poolside-Laguna-S-2.1: glm renders think_tags opens
poolside-Laguna-XS-2.1: glm renders think_tags opens
poolside-Laguna-XS.2: glm renders think_tags opens
tencent-Hy3: - renders - -
unsloth-Apriel-1.5: apriel renders - -
unsloth-mistral-Devstral-Small-2507: mistral renders - -
upstage-Solar-Open-100B: solar renders - -
";

#[test]
fn dialects_of_published_models_are_detected() {
    let Ok(folder) = std::env::var("HOSTLER_TEMPLATES") else {
        eprintln!("SKIPPED: HOSTLER_TEMPLATES is not set; run `make test`");
        return;
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).expect("the folder exists") {
        let path = entry.expect("it is readable").path();
        if path.extension().is_some_and(|extension| extension == "jinja") {
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            found.insert(name, describe(&std::fs::read_to_string(&path).expect("it is text")));
        }
    }
    let found = found.into_iter().fold(String::new(), |mut table, (name, dialect)| {
        writeln!(table, "{name}: {dialect}").expect("writing to a string cannot fail");
        table
    });
    assert_eq!(found, EXPECTED, "{found}");
}

/// The dialect that is detected from a template.
fn describe(source: &str) -> String {
    let template = ChatTemplate::compile(source, "<s>".into(), "</s>".into()).expect("it compiles");
    let rendered = probes().map(|variables| template.render_variables(Value::from_serialize(variables)).ok());
    let dialect = detect(source, [0, 1, 2].map(|probe: usize| rendered[probe].as_deref()));
    let tools = dialect.tools.map_or("-", |format| format.as_str());
    let renders = if dialect.template_renders_tools { "renders" } else { "-" };
    let reasoning = dialect.reasoning.map_or("-", |format| format.as_str());
    let opens = if dialect.opens_reasoning { "opens" } else { "-" };
    format!("{tools} {renders} {reasoning} {opens}")
}
