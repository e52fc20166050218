//! What is printed: tables, and ratios beside their targets.

use crate::load::Series;

/// Which side of its target a figure should be on.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
}

impl Target {
    fn verdict(self, value: f64) -> &'static str {
        let met = match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Below(limit) => value < limit,
        };
        if met { "PASS" } else { "MISS" }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
            Self::Below(limit) => format!("< {limit}"),
        }
    }
}

/// Prints the heading of a workload.
pub fn heading(text: &str) {
    println!("\n## {text}\n");
}

/// Prints the table of some series: rates are medians of the rounds, latencies are over all
/// requests.
pub fn table(series: &[&Series]) {
    println!("| run | ops | ops/s | MB/s | p50 ms | p99 ms | max ms |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for one in series {
        let [p50, p99, max] = one.quantiles([0.5, 0.99, 1.0]);
        let rate = one.operations_per_second();
        let rate = if rate < 100.0 { format!("{rate:.2}") } else { format!("{rate:.0}") };
        let data = one.megabytes_per_second();
        let data = if data > 0.0 { format!("{data:.1}") } else { "-".to_owned() };
        let (name, count) = (&one.name, one.operations());
        println!("| {name} | {count} | {rate} | {data} | {p50:.3} | {p99:.3} | {max:.3} |");
    }
    println!();
}

/// Prints a figure, its target, and whether it is met. A figure that is not a number misses.
pub fn ratio(what: &str, value: f64, target: Target) {
    let verdict = target.verdict(value);
    println!("- **{verdict}** {what}: **{value:.2}** (target {})", target.text());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        assert_eq!(Target::AtMost(3.0).verdict(3.0), "PASS");
        assert_eq!(Target::Below(3.0).verdict(3.0), "MISS");
        assert_eq!(Target::AtLeast(4.0).verdict(3.9), "MISS");
        assert_eq!(Target::AtLeast(0.4).verdict(f64::NAN), "MISS");
    }
}
