//! An engine that leaves its callers in doubt.

use std::sync::Mutex;

use cosine_kv::{Kv, Outcome, Scan};

/// A metadata engine that now and then cannot tell what became of a commit: it happened, or it did
/// not. The commit after that is answered plainly, so that asking again helps.
#[derive(Debug, Default)]
pub struct Doubtful {
    inner: cosine_kv::Memory,
    pub state: Mutex<DoubtState>,
}

#[derive(Debug, Default)]
pub struct DoubtState {
    pub armed: bool,
    pub random: u64,
    pub just_doubted: bool,
}

/// What becomes of a commit.
enum Fate {
    Plain,
    HappensInDoubt,
    LostInDoubt,
}

impl Doubtful {
    fn next_fate(&self) -> Fate {
        let mut state = self.state.lock().unwrap();
        if !state.armed || std::mem::take(&mut state.just_doubted) {
            return Fate::Plain;
        }
        state.random = state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.just_doubted = state.random >> 62 < 2;
        match state.random >> 62 {
            0 => Fate::HappensInDoubt,
            1 => Fate::LostInDoubt,
            _ => Fate::Plain,
        }
    }
}

#[async_trait::async_trait]
impl Kv for Doubtful {
    async fn get(&self, key: &[u8]) -> Result<Option<cosine_kv::Row>, cosine_kv::Error> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<cosine_kv::Page, cosine_kv::Error> {
        self.inner.scan(scan).await
    }

    async fn commit(&self, commit: cosine_kv::Commit) -> Result<Outcome, cosine_kv::Error> {
        match self.next_fate() {
            Fate::Plain => self.inner.commit(commit).await,
            Fate::HappensInDoubt => self.inner.commit(commit).await.map(|_| Outcome::Unknown),
            Fate::LostInDoubt => Ok(Outcome::Unknown),
        }
    }

    fn exclusive(&self) -> bool {
        true
    }
}
