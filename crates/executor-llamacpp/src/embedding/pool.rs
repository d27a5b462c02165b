//! Pooling of the vectors of all tokens to one embedding. Pure.

use llama_cpp_2::model::LlamaModel;

/// How the embedding of a text is computed from the vectors of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean of all vectors. The default.
    Mean,
    /// The vector of the first token.
    First,
    /// The vector of the last token, which alone depends on the whole text.
    Last,
}

impl Pooling {
    /// The pooling that the model declares; `None` for a reranking model, which has no
    /// embeddings.
    pub(crate) fn of(model: &LlamaModel) -> Option<Self> {
        let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
        let declared = model.meta_val_str(&format!("{architecture}.pooling_type"));
        Self::declared(declared.as_deref().unwrap_or("0"))
    }

    /// Parses llama.cpp's number of a pooling type.
    fn declared(number: &str) -> Option<Self> {
        match number {
            "2" => Some(Self::First),
            "3" => Some(Self::Last),
            "4" => None,
            _ => Some(Self::Mean),
        }
    }
}

/// Accumulates the vectors of the tokens.
pub(crate) struct Pool {
    pooling: Pooling,
    count: usize,
    sum: Vec<f64>,
}

impl Pool {
    pub(crate) fn new(pooling: Pooling) -> Self {
        Self { pooling, count: 0, sum: Vec::new() }
    }

    /// Adds the vector of the next token.
    pub(crate) fn add(&mut self, vector: &[f32]) {
        self.count += 1;
        self.sum.resize(vector.len(), 0.0);
        for (sum, &number) in self.sum.iter_mut().zip(vector) {
            match self.pooling {
                Pooling::Mean => *sum += f64::from(number),
                Pooling::First if self.count > 1 => {}
                Pooling::First | Pooling::Last => *sum = f64::from(number),
            }
        }
    }

    /// The embedding, normalised to length 1; a sum has the same direction as a mean.
    pub(crate) fn finish(self) -> Vec<f32> {
        let length = self.sum.iter().map(|number| number * number).sum::<f64>().sqrt();
        // A zero vector has no direction and stays zero.
        let factor = if length > 0.0 { length.recip() } else { 0.0 };
        self.sum.into_iter().map(|number| (number * factor) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(pooling: Pooling) -> Vec<f32> {
        let mut pool = Pool::new(pooling);
        for vector in [[3.0, 0.0], [0.0, 1.0], [0.0, 3.0]] {
            pool.add(&vector);
        }
        pool.finish()
    }

    #[test]
    fn vectors_are_pooled_and_normalised() {
        assert_eq!(pooled(Pooling::Mean), [0.6, 0.8]);
        assert_eq!(pooled(Pooling::First), [1.0, 0.0]);
        assert_eq!(pooled(Pooling::Last), [0.0, 1.0]);
        let mut zero = Pool::new(Pooling::Mean);
        zero.add(&[0.0, 0.0]);
        assert_eq!(zero.finish(), [0.0, 0.0]);
    }

    #[test]
    fn the_declared_pooling_is_used_and_reranking_models_have_none() {
        let declared = ["0", "1", "2", "3", "4"].map(Pooling::declared);
        let expected = [Some(Pooling::Mean), Some(Pooling::Mean), Some(Pooling::First), Some(Pooling::Last), None];
        assert_eq!(declared, expected);
    }
}
