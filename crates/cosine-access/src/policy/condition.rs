//! Conditions: an operator, a key, and values.
//!
//! Operators hold together by and, keys by and, values by or; of a negated operator, none of the values
//! may be met. A key that the request does not have makes a condition false, or true with `_if_exist`,
//! negated or not. A key that is not known here, or can never be, is another matter: nobody knows what
//! it would have said, so the statement is taken the safe way, a deny as if it held and an allow as if it
//! did not.

use std::borrow::Cow;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::pattern::Pattern;
use crate::facts::{Fact, Facts, Key};

/// A circumstance that is longer than this is not looked at: every pattern of a policy would be held against
/// all of it.
const FACT_BYTES_MAX: usize = 1 << 10;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The key, or the name of one that is not known here.
    key: Result<Key, String>,
    test: Test,
    negated: bool,
    /// Whether a key that the request lacks counts as met.
    if_exist: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Text {
        values: Vec<String>,
        ignore_case: bool,
    },
    Like(Vec<Pattern>),
    Number(Relation, Vec<Number>),
    Date(Relation, Vec<i64>),
    Bool(Vec<bool>),
    Ip(Vec<Network>),
    /// Whether the key is absent or empty is to be one of these.
    Null(Vec<bool>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    fn holds<T: Ord>(self, one: &T, other: &T) -> bool {
        match self {
            Self::Equal => one == other,
            Self::Less => one < other,
            Self::LessOrEqual => one <= other,
            Self::Greater => one > other,
            Self::GreaterOrEqual => one >= other,
        }
    }
}

/// A decimal number, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number(i128);

impl Number {
    const DIGITS: usize = 9;

    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(part) || whole.len() > 20 || part.len() > Self::DIGITS {
            return None;
        }
        let part = format!("{part:0<9}");
        let (whole, part): (i128, i128) = (whole.parse().ok()?, part.parse().ok()?);
        Some(Self(sign * (whole * 1_000_000_000 + part)))
    }
}

/// Addresses whose first bits are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        if bits > width {
            return None;
        }
        // An IPv4 network in the form of IPv6: clients are looked at in the former.
        match address.to_canonical() {
            address @ IpAddr::V4(_) if width == 128 && bits >= 96 => {
                Some(Self { address, bits: bits - 96 })
            }
            _ => Some(Self { address, bits }),
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let differ = bits(self.address) ^ bits(address);
        self.address.is_ipv4() == address.is_ipv4() && differ.leading_zeros() >= self.bits
    }
}

/// How the values of an operator are read, and which way round it is.
#[derive(Clone, Copy)]
enum Operator {
    Text { ignore_case: bool },
    Like,
    Number(Relation),
    Date(Relation),
    Bool,
    Ip,
    Null,
}

/// Every operator: its name, how it reads its values, and whether it is negated.
const OPERATORS: [(&str, Operator, bool); 22] = {
    use Operator::{Bool, Date, Ip, Like, Null, Number, Text};
    use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    [
        ("string_equal", Text { ignore_case: false }, false),
        ("string_not_equal", Text { ignore_case: false }, true),
        ("string_equal_ignore_case", Text { ignore_case: true }, false),
        ("string_not_equal_ignore_case", Text { ignore_case: true }, true),
        ("string_like", Like, false),
        ("string_not_like", Like, true),
        ("numeric_equal", Number(Equal), false),
        ("numeric_not_equal", Number(Equal), true),
        ("numeric_less_than", Number(Less), false),
        ("numeric_less_than_equal", Number(LessOrEqual), false),
        ("numeric_greater_than", Number(Greater), false),
        ("numeric_greater_than_equal", Number(GreaterOrEqual), false),
        ("date_equal", Date(Equal), false),
        ("date_not_equal", Date(Equal), true),
        ("date_less_than", Date(Less), false),
        ("date_less_than_equal", Date(LessOrEqual), false),
        ("date_greater_than", Date(Greater), false),
        ("date_greater_than_equal", Date(GreaterOrEqual), false),
        ("bool_equal", Bool, false),
        ("ip_equal", Ip, false),
        ("ip_not_equal", Ip, true),
        ("null_equal", Null, false),
    ]
};

impl Condition {
    /// Reads a condition. The error says what is wrong with the operator or with a value.
    pub fn parse(operator: &str, key: &str, values: &[String]) -> Result<Self, String> {
        let bare = ["for_any_value:", "for_all_value:"]
            .iter()
            .find_map(|quantifier| operator.strip_prefix(quantifier))
            .unwrap_or(operator);
        let (bare, if_exist) = match bare.strip_suffix("_if_exist") {
            Some(bare) => (bare, true),
            None => (bare, false),
        };
        let row = OPERATORS.iter().find(|(name, ..)| *name == bare);
        let &(_, how, negated) = row.ok_or_else(|| format!("{operator} is no operator"))?;
        let key = Key::named(key).ok_or_else(|| key.to_owned());
        let is_encoded = key.as_ref().is_ok_and(|key| key.is_encoded());
        let test = Test::parse(how, values, is_encoded)?;
        Ok(Self { key, test, negated, if_exist })
    }

    /// The key, as policies name it.
    pub fn key_name(&self) -> String {
        match &self.key {
            Ok(key) => key.names().first().copied().unwrap_or_default().to_owned(),
            Err(name) => name.clone(),
        }
    }

    /// Whether it holds; `closed` where the key is not known here.
    pub fn holds(&self, facts: &dyn Facts, closed: bool) -> bool {
        let Ok(key) = self.key else { return closed };
        let fact = facts.fact(key);
        if let Test::Null(wanted) = &self.test {
            let is_null = match &fact {
                Fact::Absent => true,
                Fact::Value(text) => text.is_empty(),
                Fact::Unreadable => false,
            };
            return wanted.contains(&is_null);
        }
        match fact {
            Fact::Absent => self.if_exist,
            Fact::Unreadable => closed,
            Fact::Value(fact) if fact.len() > FACT_BYTES_MAX => closed,
            Fact::Value(fact) => match self.test.holds(&fact) {
                Some(holds) => holds != self.negated,
                // A number that is none, an address that is none.
                None => closed,
            },
        }
    }
}

impl Test {
    fn parse(how: Operator, values: &[String], is_encoded: bool) -> Result<Self, String> {
        let all = |what: &str, read: &dyn Fn(&str) -> bool| match values.iter().find(|v| !read(v)) {
            Some(value) => Err(format!("{value:?} is not {what}")),
            None => Ok(()),
        };
        let bools = || {
            all("true or false", &|v| parse_bool(v).is_some())?;
            Ok::<_, String>(values.iter().filter_map(|v| parse_bool(v)).collect())
        };
        Ok(match how {
            Operator::Text { ignore_case } => {
                let value = |v: &String| decoded(v, is_encoded).into_owned();
                Self::Text { values: values.iter().map(value).collect(), ignore_case }
            }
            Operator::Like => {
                let pattern = |v: &String| Pattern::with(v, |piece| decoded(piece, is_encoded));
                Self::Like(values.iter().map(pattern).collect())
            }
            Operator::Number(relation) => {
                all("a number", &|v| Number::parse(v).is_some())?;
                Self::Number(relation, values.iter().filter_map(|v| Number::parse(v)).collect())
            }
            Operator::Date(relation) => {
                all("a date such as 2026-01-31T00:00:00Z", &|v| parse_date(v).is_some())?;
                Self::Date(relation, values.iter().filter_map(|v| parse_date(v)).collect())
            }
            Operator::Ip => {
                all("an address or a network such as 10.0.0.0/8", &|v| {
                    Network::parse(v).is_some()
                })?;
                Self::Ip(values.iter().filter_map(|v| Network::parse(v)).collect())
            }
            Operator::Bool => Self::Bool(bools()?),
            Operator::Null => Self::Null(bools()?),
        })
    }

    /// Whether any value is met; `None` where the fact is not of the operator's kind.
    fn holds(&self, fact: &str) -> Option<bool> {
        Some(match self {
            Self::Text { values, ignore_case: false } => values.iter().any(|v| v == fact),
            Self::Text { values, ignore_case: true } => {
                values.iter().any(|v| v.eq_ignore_ascii_case(fact))
            }
            Self::Like(patterns) => patterns.iter().any(|pattern| pattern.matches(fact)),
            Self::Number(relation, values) => {
                let fact = Number::parse(fact)?;
                values.iter().any(|value| relation.holds(&fact, value))
            }
            Self::Date(relation, values) => {
                let fact = parse_date(fact)?;
                values.iter().any(|value| relation.holds(&fact, value))
            }
            Self::Bool(values) => values.contains(&parse_bool(fact)?),
            Self::Ip(networks) => {
                let fact: IpAddr = fact.parse().ok()?;
                networks.iter().any(|network| network.holds(fact))
            }
            Self::Null(_) => return None,
        })
    }
}

/// What comes from a request parameter stands percent-encoded in policies; the fact is decoded.
fn decoded(text: &str, is_encoded: bool) -> Cow<'_, str> {
    match is_encoded {
        true => percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text)),
        false => Cow::Borrowed(text),
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, value)| value)
}

fn parse_date(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}
