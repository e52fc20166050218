//! What decisions are made into: proofs, and the roles that are assumed.

use cosine_access::{
    Action, Ask, Caller, PolicyKind, ReadProof, Reason, Resource, Rules, Subject, allow_read,
    decide,
};

use crate::scene::{Here, NAME, OWNER, action, caller, policy};

/// An object by its name.
#[derive(Debug)]
struct Named(&'static str);

impl Subject for Named {
    fn is(&self, resource: &Resource<'_>) -> bool {
        resource.name == self.0
    }
}

fn ask<'a>(caller: &'a Caller, action: Action, rules: Rules<'a>) -> Ask<'a> {
    let resource =
        Resource { service: "cos", region: "r", owner: OWNER, name: NAME, list_of: None };
    Ask { caller, action, resource, facts: &Here, rules }
}

/// Only of what was asked for, only by the action that reads, and only if that is allowed.
#[test]
fn a_proof_is_of_what_may_be_read() {
    let (reader, nobody) = (caller("user", "allow * *", None), caller("user", "", None));
    let table = [
        (&reader, "GetObject", NAME, true),
        (&reader, "GetObject", "b-1/dir/other", false),
        (&reader, "PutObject", NAME, false),
        (&nobody, "GetObject", NAME, false),
    ];
    for (caller, name, what, proven) in table {
        let ask = ask(caller, action(name), Rules::default());
        let proof = allow_read(&ask, Named(what)).map(ReadProof::into_inner);
        assert_eq!(proof.is_ok(), proven, "{name} of {what}: {proof:?}");
    }
}

/// To belong to the account of a role is not to be trusted by it: not as its owner either.
#[test]
fn a_role_is_assumed_by_whom_it_trusts() {
    let all = "allow * *";
    let table = [
        ("owner", "", "allow * * to user", Err(Reason::NothingAllows)),
        ("owner", "", "allow * * to owner", Ok(())),
        ("user", all, "allow * * to other", Err(Reason::NothingAllows)),
        ("user", all, "allow * * to user", Ok(())),
        ("user", "", "allow * * to user", Err(Reason::NotInPolicy)),
        ("other", "", "allow * * to other", Ok(())),
        ("other-user", all, "allow * * to other", Ok(())),
        ("other-user", "", "allow * * to other", Err(Reason::NotInPolicy)),
    ];
    for (who, own, trust, expected) in table {
        let trust = policy(trust, PolicyKind::Resource);
        let rules = Rules { policy: trust.as_deref(), is_trust: true, ..Rules::default() };
        let decision = decide(&ask(&caller(who, own, None), action("GetObject"), rules));
        let decided = if decision.allowed { Ok(()) } else { Err(decision.reason) };
        assert_eq!(decided, expected, "{who} with {own:?}");
    }
}
