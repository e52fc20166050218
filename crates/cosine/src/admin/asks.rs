//! `cosine admin account`, `user`, `role`, `key`, `access`, `kms`: a question each, and its answer.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::client::Client;
use crate::error::Error;

/// A flag, the member of the request that it is, and how it is read.
struct Flag {
    name: &'static str,
    member: &'static str,
    kind: Kind,
    required: bool,
    help: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// The text of the file that is named.
    File,
    /// `NAME=VALUE`, any number of them.
    Pairs,
}

/// A sub-command of one of these, and what it asks.
struct Row {
    of: &'static str,
    name: &'static str,
    about: &'static str,
    path: &'static str,
    flags: &'static [Flag],
}

const fn flag(name: &'static str, kind: Kind, required: bool, help: &'static str) -> Flag {
    Flag { name, member: name, kind, required, help }
}

const APPID: Flag =
    flag("appid", Kind::Number, false, "The account, by its APPID, if not the server's own.");
const NAME: Flag = flag("name", Kind::Text, true, "Name within the account.");
const USER: Flag = Flag {
    name: "user",
    member: "name",
    kind: Kind::Text,
    required: false,
    help: "The user, by name; without, the account itself.",
};
const SECRET_ID: Flag = Flag {
    name: "id",
    member: "secret_id",
    kind: Kind::Text,
    required: true,
    help: "The SecretId of the pair.",
};
const POLICY: Flag = flag("policy", Kind::File, false, "File with the policy, in JSON.");
const NEW_APPID: Flag =
    flag("appid", Kind::Number, true, "What its buckets' names are to end with.");
const UIN: Flag = flag("uin", Kind::Number, true, "Its number in policies and ACLs.");
const TRUST: Flag =
    flag("trust", Kind::File, true, "File with a policy that says who may assume the role.");
const WHO: Flag = flag("user", Kind::Text, false, "A name, a uin, or anonymous.");
const ACTION: Flag = flag("action", Kind::Text, true, "Such as name/cos:GetObject.");
const RESOURCE: Flag = flag("resource", Kind::Text, true, "<bucket-appid>/<key>.");
const CONTEXT: Flag =
    flag("context", Kind::Pairs, false, "A condition key and its value, such as qcs:ip=10.0.0.1.");

const KEY_ID: Flag =
    Flag { name: "id", member: "key_id", kind: Kind::Text, required: true, help: "The key's id." };
const DESCRIPTION: Flag = flag("description", Kind::Text, false, "What the key is for.");
const DAYS: Flag = flag(
    "days",
    Kind::Number,
    false,
    "From 0 to 30; 7 if nothing is said. Until then it can be enabled again.",
);

const TABLE: [Row; 24] = [
    Row {
        of: "account",
        name: "add",
        about: "Makes an account, and its first keys",
        path: "account/add",
        flags: &[NEW_APPID, UIN],
    },
    Row {
        of: "account",
        name: "list",
        about: "Shows all accounts",
        path: "account/list",
        flags: &[],
    },
    Row {
        of: "user",
        name: "add",
        about: "Makes a user, and its first keys",
        path: "user/add",
        flags: &[NAME, POLICY, APPID],
    },
    Row {
        of: "user",
        name: "list",
        about: "Shows the users of an account",
        path: "user/list",
        flags: &[APPID],
    },
    Row {
        of: "user",
        name: "policy",
        about: "Says what a user may do; without a policy, nothing",
        path: "user/policy",
        flags: &[NAME, POLICY, APPID],
    },
    Row {
        of: "user",
        name: "remove",
        about: "Removes a user, and its keys",
        path: "user/remove",
        flags: &[NAME, APPID],
    },
    Row {
        of: "role",
        name: "set",
        about: "Makes a role, or changes it",
        path: "role/set",
        flags: &[NAME, TRUST, POLICY, APPID],
    },
    Row {
        of: "role",
        name: "list",
        about: "Shows the roles of an account",
        path: "role/list",
        flags: &[APPID],
    },
    Row {
        of: "role",
        name: "remove",
        about: "Removes a role",
        path: "role/remove",
        flags: &[NAME, APPID],
    },
    Row {
        of: "key",
        name: "add",
        about: "Makes another pair of keys",
        path: "key/add",
        flags: &[USER, APPID],
    },
    Row {
        of: "key",
        name: "list",
        about: "Shows pairs of keys, without their secrets",
        path: "key/list",
        flags: &[USER, APPID],
    },
    Row {
        of: "key",
        name: "enable",
        about: "Switches a pair of keys on",
        path: "key/enable",
        flags: &[SECRET_ID, APPID],
    },
    Row {
        of: "key",
        name: "disable",
        about: "Switches a pair of keys off, and the temporary ones made with it",
        path: "key/disable",
        flags: &[SECRET_ID, APPID],
    },
    Row {
        of: "key",
        name: "remove",
        about: "Removes a pair of keys",
        path: "key/remove",
        flags: &[SECRET_ID, APPID],
    },
    Row {
        of: "access",
        name: "explain",
        about: "Says why somebody may do something, or not",
        path: "access/explain",
        flags: &[WHO, ACTION, RESOURCE, CONTEXT, APPID],
    },
    Row {
        of: "kms key",
        name: "add",
        about: "Makes a key",
        path: "kms/key/add",
        flags: &[DESCRIPTION, APPID],
    },
    Row {
        of: "kms key",
        name: "list",
        about: "Shows the keys of an account",
        path: "kms/key/list",
        flags: &[APPID],
    },
    Row {
        of: "kms key",
        name: "describe",
        about: "Shows a key",
        path: "kms/key/describe",
        flags: &[KEY_ID, APPID],
    },
    Row {
        of: "kms key",
        name: "enable",
        about: "Switches a key on, or saves one that is to be deleted",
        path: "kms/key/enable",
        flags: &[KEY_ID, APPID],
    },
    Row {
        of: "kms key",
        name: "disable",
        about: "Switches a key off, and with it all that is encrypted under it",
        path: "kms/key/disable",
        flags: &[KEY_ID, APPID],
    },
    Row {
        of: "kms key",
        name: "schedule-deletion",
        about: "Has a key go, and with it all that is encrypted under it",
        path: "kms/key/schedule-deletion",
        flags: &[KEY_ID, DAYS, APPID],
    },
    Row {
        of: "kms key",
        name: "rotate",
        about: "Gives a key a new version, which new objects are encrypted under",
        path: "kms/key/rotate",
        flags: &[KEY_ID, APPID],
    },
    Row {
        of: "kms master",
        name: "status",
        about: "Shows how far the replacement of the master key has come",
        path: "kms/master/status",
        flags: &[],
    },
    Row {
        of: "kms master",
        name: "rotate",
        about: "Has a new master key take the place of the one that there is",
        path: "kms/master/rotate",
        flags: &[],
    },
];

/// A group of one word holds commands, one of two is within the group of the first.
const GROUPS: [(&str, &str); 8] = [
    ("account", "Accounts beside the server's own"),
    ("user", "Users of an account"),
    ("role", "Roles, which others assume"),
    ("key", "Pairs of keys, of accounts and users"),
    ("access", "Who may do what, and why"),
    ("kms", "Keys that objects are encrypted under"),
    ("kms key", "Keys of the built-in key management"),
    ("kms master", "The master key, which these are sealed under"),
];

/// The command lines.
pub fn commands() -> impl Iterator<Item = Command> {
    GROUPS.iter().filter(|(name, _)| !name.contains(' ')).map(|(name, about)| {
        let within = |(group, about): &(&'static str, &'static str)| {
            let (first, second) = group.split_once(' ')?;
            (first == *name).then(|| of_group(second, about, group))
        };
        of_group(name, about, name).subcommands(GROUPS.iter().filter_map(within))
    })
}

fn of_group(name: &'static str, about: &'static str, group: &str) -> Command {
    let rows = TABLE.iter().filter(|row| row.of == group);
    let subcommands = rows.map(|row| {
        let arg = |flag: &Flag| {
            let many = flag.kind == Kind::Pairs;
            Arg::new(flag.name)
                .long(flag.name)
                .value_name(if flag.kind == Kind::File { "FILE" } else { "VALUE" })
                .required(flag.required)
                .action(if many { ArgAction::Append } else { ArgAction::Set })
                .help(flag.help)
        };
        Command::new(row.name).about(row.about).args(row.flags.iter().map(arg))
    });
    Command::new(name).about(about).subcommand_required(true).subcommands(subcommands)
}

/// Asks.
pub async fn run(
    client: &Client,
    group: &str,
    matches: &ArgMatches,
) -> Result<(Value, String), Error> {
    let (mut group, (mut name, mut matches)) =
        (group.to_owned(), matches.subcommand().unwrap_or(("", matches)));
    if let Some((below, its)) = matches.subcommand() {
        group = format!("{group} {name}");
        (name, matches) = (below, its);
    }
    let row = TABLE.iter().find(|row| row.of == group && row.name == name);
    let row = row.ok_or_else(|| Error::Settings(format!("{group} {name} is no command")))?;
    let mut body = Map::new();
    for flag in row.flags {
        if let Some(value) = value(flag, matches)? {
            body.insert(flag.member.to_owned(), value);
        }
    }
    let answer = client.post(&format!("/-/admin/{}", row.path), &Value::Object(body)).await?;
    let text = lines(&answer);
    Ok((answer, text))
}

fn value(flag: &Flag, matches: &ArgMatches) -> Result<Option<Value>, Error> {
    if flag.kind == Kind::Pairs {
        let mut pairs = Map::new();
        for pair in matches.get_many::<String>(flag.name).into_iter().flatten() {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::Settings(format!("{pair} is not NAME=VALUE")))?;
            pairs.insert(name.to_owned(), json!(value));
        }
        return Ok((!pairs.is_empty()).then_some(Value::Object(pairs)));
    }
    let Some(text) = matches.get_one::<String>(flag.name) else { return Ok(None) };
    Ok(Some(match flag.kind {
        Kind::Number => {
            let number: u64 = text
                .parse()
                .map_err(|_| Error::Settings(format!("{}: {text} is not a number", flag.name)))?;
            json!(number)
        }
        Kind::File => json!(
            std::fs::read_to_string(text)
                .map_err(|error| Error::System(format!("cannot read {text}"), error))?
        ),
        Kind::Text | Kind::Pairs => json!(text),
    }))
}

/// An answer for people: a line for each member, and one for each entry of a list.
fn lines(answer: &Value) -> String {
    let Some(members) = answer.as_object() else { return answer.to_string() };
    if members.is_empty() {
        return "done".to_owned();
    }
    let mut text = String::new();
    for (name, value) in members {
        match value {
            Value::Array(list) => {
                list.iter().for_each(|entry| text += &format!("{}\n", plain(entry)))
            }
            value => text += &format!("{name:12} {}\n", plain(value)),
        }
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name}={}", plain(value));
            members.iter().map(member).collect::<Vec<_>>().join("  ")
        }
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
