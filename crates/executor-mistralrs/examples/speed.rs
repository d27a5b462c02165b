//! Measures the tokens per second of one sequence, through the executor:
//! `cargo run -p hostler-executor-mistralrs --example speed -- MODEL.gguf [TOKENS]`.

use std::time::Instant;

use hostler_executor::{ExecutorFactory, Sequence};
use hostler_executor_mistralrs::{MistralrsConfig, MistralrsFactory, ModelSource};
use hostler_protocol::{ModelId, SamplingParams, TokenEvent};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("the first argument is a GGUF file");
    let tokens: u32 = arguments.next().map_or(128, |text| text.parse().expect("the second argument is a number"));
    let factory = MistralrsFactory::new(MistralrsConfig::new(ModelId::new("m"), ModelSource::Gguf(path.into())));
    let executor = factory.load(&()).expect("the model loads");
    println!("{:?}", executor.description());
    let prompt = executor.text().encode("Once upon a time, there was a", true).expect("it can be tokenized");
    for (name, sampling) in [
        ("greedy", SamplingParams::greedy()),
        ("sampled", SamplingParams { seed: Some(1), ..SamplingParams::default() }),
        ("top-p 0.9", SamplingParams { seed: Some(1), top_p: 0.9, ..SamplingParams::default() }),
    ] {
        let mut sequence = Sequence { sampling, ..Sequence::greedy(prompt.clone(), tokens) };
        sequence.stop.ignore_eos = true;
        let mut stream = executor.generate(sequence);
        let (mut first, mut count, mut text) = (None, 0_u32, String::new());
        while let Some(event) = stream.blocking_next_event() {
            match event {
                TokenEvent::Token(token) => {
                    first.get_or_insert_with(Instant::now);
                    count += 1;
                    text.push_str(&token.text);
                }
                TokenEvent::Failed(error) => panic!("{error}"),
                TokenEvent::Finished(finish) => println!("{:?} {:?}", finish.usage, finish.timings),
                TokenEvent::Started(_) => {}
            }
        }
        let seconds = first.expect("there are tokens").elapsed().as_secs_f64();
        println!("{name}: {:.1} tokens/s\n{text}\n", f64::from(count - 1) / seconds);
    }
}
