//! One vector out of those of all tokens: pure.

use llama_cpp_2::model::LlamaModel;

/// Which vector stands for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean of all tokens' vectors: of a model that says nothing of it.
    Mean,
    /// The first token's.
    First,
    /// The last token's, which alone has seen the whole text.
    Last,
}

impl Pooling {
    /// As the model was trained to be read; `None` for a model that ranks texts and
    /// has no vectors to give.
    pub(crate) fn of(model: &LlamaModel) -> Option<Self> {
        let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
        let declared = model.meta_val_str(&format!("{architecture}.pooling_type"));
        Self::declared(declared.as_deref().unwrap_or("0"))
    }

    /// llama.cpp's numbers.
    fn declared(number: &str) -> Option<Self> {
        match number {
            "2" => Some(Self::First),
            "3" => Some(Self::Last),
            "4" => None,
            _ => Some(Self::Mean),
        }
    }
}

/// Vectors of tokens so far.
pub(crate) struct Pool {
    pooling: Pooling,
    count: usize,
    sum: Vec<f64>,
}

impl Pool {
    pub(crate) fn new(pooling: Pooling) -> Self {
        Self { pooling, count: 0, sum: Vec::new() }
    }

    /// The next token's.
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

    /// The vector of the text, of length 1: a mean and a sum have the same direction.
    pub(crate) fn finish(self) -> Vec<f32> {
        let length = self.sum.iter().map(|number| number * number).sum::<f64>().sqrt();
        // A vector of zeros has no direction, and stays what it is.
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
    fn a_text_has_one_vector_of_length_one() {
        assert_eq!(pooled(Pooling::Mean), [0.6, 0.8]);
        assert_eq!(pooled(Pooling::First), [1.0, 0.0]);
        assert_eq!(pooled(Pooling::Last), [0.0, 1.0]);
        let mut nothing = Pool::new(Pooling::Mean);
        nothing.add(&[0.0, 0.0]);
        assert_eq!(nothing.finish(), [0.0, 0.0]);
    }

    #[test]
    fn a_model_s_own_pooling_is_taken_and_a_ranking_one_has_none() {
        let declared = ["0", "1", "2", "3", "4"].map(Pooling::declared);
        let expected = [Some(Pooling::Mean), Some(Pooling::Mean), Some(Pooling::First), Some(Pooling::Last), None];
        assert_eq!(declared, expected);
    }
}
