//! `attune evaluate baskets`: what people buy next.

use super::rows::{bar, open};
use crate::{Failure, output};
use clap::ValueEnum;
use jiff::civil::Date;
use models::basket::Method;
use std::{fmt::Write, path::PathBuf, process::ExitCode};
use training::{
    basket::{Choice, Data, Dated, Field, Published, Purchases, Report, Scores, evaluate, steps},
    customer_base::day_number,
};

/// Next baskets by frequency and recency, TIFU-KNN, their ensemble, a boosted re-ranker, and a
/// recurrent network.
///
/// Either of dated purchases, in true time order: what was bought up to the cut-off is learned from,
/// the first basket after it is forecast. Or of a benchmark's files: there, too, a model learns only
/// from each user's own baskets before, never from another user's future.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["transactions", "history"]))]
pub struct Args {
    /// Purchases: CSV with columns customer, date, item and perhaps quantity, or Ta-Feng's archive.
    #[arg(long, value_name = "FILE")]
    transactions: Option<PathBuf>,
    /// The last day that is known, YYYY-MM-DD. Without it the last --horizon-days are forecast.
    #[arg(long, value_name = "DATE", conflicts_with = "history")]
    cutoff: Option<Date>,
    /// Days after the cut-off in which the next basket is looked for.
    #[arg(long, value_name = "N", conflicts_with = "history",
          value_parser = clap::value_parser!(u16).range(1..=3_650))]
    horizon_days: Option<u16>,
    /// Benchmark: each user's baskets, JSON.
    #[arg(long, value_name = "FILE", requires = "future", requires = "keyset")]
    history: Option<PathBuf>,
    /// Benchmark: each user's next basket, JSON. Only test users' are looked at.
    #[arg(long, value_name = "FILE", requires = "history")]
    future: Option<PathBuf>,
    /// Benchmark: which users are for testing, JSON.
    #[arg(long, value_name = "FILE", requires = "history")]
    keyset: Option<PathBuf>,
    /// What is judged; auto is the method that was best one cut earlier in time.
    #[arg(long, value_enum, default_value_t)]
    method: Name,
    /// Let the recurrent model take part in auto and all: alone, and mixed with the re-ranker. It is
    /// trained twice, which takes minutes. Where the machine has other work to do too,
    /// RAYON_NUM_THREADS=1 in the environment makes it several times as fast.
    #[arg(long)]
    recurrent: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Name {
    Tifu,
    Recency,
    Ens,
    Rerank,
    /// A network that reads the baskets in their order.
    Recurrent,
    /// Re-ranker and network together.
    Mixed,
    #[default]
    Auto,
    /// A line for each method.
    All,
}

impl Name {
    fn choice(self, field: Field) -> Choice {
        match self {
            Self::Tifu => Choice::One(Method::Tifu),
            Self::Recency => Choice::One(Method::Recency),
            Self::Ens => Choice::One(Method::Ens),
            Self::Rerank => Choice::One(Method::Rerank),
            Self::Recurrent => Choice::One(Method::Recurrent),
            Self::Mixed => Choice::One(Method::Mixed),
            Self::Auto => Choice::Auto(field),
            Self::All => Choice::All(field),
        }
    }
}

/// Judges and prints.
pub fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let data = read(args)?;
    let field = if args.recurrent { Field::Recurrent } else { Field::Quick };
    let choice = args.method.choice(field);
    let bar = bar(usize::try_from(steps(&data, choice)).unwrap_or(usize::MAX), "people")?;
    let report = evaluate(&data, choice, &mut || bar.inc(1));
    bar.finish_and_clear();
    let report = report?;
    if json {
        output::line(&report)?;
    } else {
        output::text(&describe(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &Args) -> Result<Data, Failure> {
    if let (Some(history), Some(future), Some(keyset)) = (&args.history, &args.future, &args.keyset)
    {
        let files = Published::read(open(history)?, open(future)?, open(keyset)?).map_err(|e| {
            let names = [history, future, keyset].map(|path| path.display().to_string());
            format!("{}: {e}", names.join(", "))
        })?;
        if files.skipped > 0 {
            eprintln!("{} test users have no next basket: left out", files.skipped);
        }
        if files.unknown > 0 {
            eprintln!("{} test users have no history: they get favourites", files.unknown);
        }
        return Ok(Data::Published(files));
    }
    let path = args.transactions.as_ref().ok_or("give --transactions FILE, or --history FILE")?;
    let purchases = Purchases::read(open(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Data::Dated(Dated::new(purchases, args.cutoff.map(day_number), args.horizon_days)))
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report);
    text.trim_end().to_owned()
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "method    recall@10  ndcg@10  phr@10  recall@20  ndcg@20  phr@20   users")?;
    report.methods.iter().try_for_each(|scores| line(out, scores))?;
    if !report.validation.is_empty() {
        writeln!(out, "\n{} was best one cut earlier:", report.shipped.method)?;
        report.validation.iter().try_for_each(|scores| line(out, scores))?;
    }
    Ok(())
}

fn line(out: &mut String, scores: &Scores) -> std::fmt::Result {
    let Scores { method, recall10, ndcg10, phr10, recall20, ndcg20, phr20, users } = scores;
    writeln!(
        out,
        "{method:9} {recall10:9.4} {ndcg10:8.4} {phr10:7.4} {recall20:10.4} {ndcg20:8.4} \
         {phr20:7.4} {users:7}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &str) -> Result<Args, clap::Error> {
        let words = std::iter::once("baskets").chain(words.split_whitespace());
        Command::try_parse_from(words).map(|command| command.args)
    }

    #[test]
    fn one_source_is_given_whole() {
        assert!(parse("--transactions a --cutoff 2001-02-08 --horizon-days 20").is_ok());
        assert!(parse("--history a --future b --keyset c --method rerank").is_ok());
        assert!(
            parse("--transactions a --recurrent --method all").is_ok_and(|args| args.recurrent)
        );
        for wrong in [
            "",
            "--history a",
            "--history a --future b",
            "--transactions a --history a --future b --keyset c",
            "--history a --future b --keyset c --cutoff 2001-02-08",
            "--transactions a --method none",
            "--transactions a --horizon-days 0",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    fn report() -> Report {
        let history: String = (0..40)
            .map(|user| format!("\"{user}\": [[-1],[{0}],[{0},5],[{0}],[-1]],", user % 3))
            .collect();
        let history = format!("{{{}}}", history.trim_end_matches(','));
        let future = r#"{"7": [[-1],[1],[-1]], "9": [[-1],[0],[-1]]}"#;
        let files = Published::read(
            history.as_bytes(),
            future.as_bytes(),
            &b"{\"item_num\": 6, \"test\": [7, \"9\"]}"[..],
        );
        let choice = Choice::All(Field::Recurrent);
        evaluate(&Data::Published(files.unwrap()), choice, &mut || ()).unwrap()
    }

    #[test]
    fn the_line_has_the_fields_of_the_contract() {
        let line = serde_json::to_value(report()).unwrap();
        for field in ["recall@10", "ndcg@10", "phr@10", "recall@20", "ndcg@20"] {
            assert_eq!(line[field], 1.0, "{field}: {line}");
        }
        assert_eq!(line["users"], 2);
        assert!(line["method"].is_string());
    }

    #[test]
    fn people_read_a_line_a_method() {
        let text = describe(&report());
        for method in Method::ALL {
            assert!(text.contains(method.name()), "{text}");
        }
    }
}
