//! Several engines as one: each blob lies where its id says.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BlobId, BlobReader, BlobWriter, Blobs, Error, Finished, PoolId, Space, StoreId};

/// Storage pools. The first one is pool 0, which every store has.
#[derive(Debug)]
pub struct Pools {
    first: Arc<dyn Blobs>,
    others: BTreeMap<PoolId, Arc<dyn Blobs>>,
}

impl Pools {
    /// Pool 0, and the others by number. Each holds the mark of the store that it belongs to.
    pub fn new(first: Arc<dyn Blobs>, others: BTreeMap<PoolId, Arc<dyn Blobs>>) -> Self {
        Self { first, others }
    }

    /// Makes pools that are new, and empty, belong to the store of pool 0, if that has one.
    ///
    /// # Errors
    /// [`Error::Io`] for a pool that holds blobs of nobody's, or belongs to another store.
    pub async fn adopt_new(&self) -> Result<(), Error> {
        let Some(store) = self.first.store_id().await? else { return Ok(()) };
        for (pool, blobs) in &self.others {
            match blobs.store_id().await? {
                Some(known) if known == store => continue,
                Some(_) => {
                    let what = format!("pool {} belongs to another store", pool.number());
                    return Err(Error::Io(std::io::Error::other(what)));
                }
                None => {}
            }
            if !blobs.list(None, 1).await?.is_empty() {
                let what = format!("pool {} holds blobs and belongs to no store", pool.number());
                return Err(Error::Io(std::io::Error::other(what)));
            }
            blobs.adopt(store).await?;
        }
        Ok(())
    }

    fn find(&self, id: BlobId) -> Result<&Arc<dyn Blobs>, Error> {
        match id.pool().number() {
            0 => Ok(&self.first),
            _ => self.others.get(&id.pool()).ok_or(Error::NoPool(id)),
        }
    }

    fn all(&self) -> impl Iterator<Item = (PoolId, &Arc<dyn Blobs>)> {
        let others = self.others.iter().map(|(pool, blobs)| (*pool, blobs));
        std::iter::once((PoolId::default(), &self.first)).chain(others)
    }
}

#[async_trait]
impl Blobs for Pools {
    fn create(&self, id: BlobId) -> Box<dyn BlobWriter> {
        match self.find(id) {
            Ok(blobs) => blobs.create(id),
            Err(_) => Box::new(Nowhere(id)),
        }
    }

    async fn open(&self, id: BlobId) -> Result<Arc<dyn BlobReader>, Error> {
        self.find(id)?.open(id).await
    }

    async fn delete(&self, ids: &[BlobId]) -> Result<(), Error> {
        for id in ids {
            self.find(*id)?;
        }
        for (pool, blobs) in self.all() {
            let here: Vec<BlobId> = ids.iter().copied().filter(|id| id.pool() == pool).collect();
            if !here.is_empty() {
                blobs.delete(&here).await?;
            }
        }
        Ok(())
    }

    async fn quarantine(&self, id: BlobId) -> Result<(), Error> {
        self.find(id)?.quarantine(id).await
    }

    async fn quarantined(&self) -> Result<Vec<BlobId>, Error> {
        let mut all = Vec::new();
        for (_, blobs) in self.all() {
            all.extend(blobs.quarantined().await?);
        }
        Ok(all)
    }

    /// Pool by pool.
    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, Error> {
        let begun = after.map_or(PoolId::default(), BlobId::pool);
        let mut page = Vec::new();
        for (pool, blobs) in self.all().filter(|(pool, _)| *pool >= begun) {
            let mut after = after.filter(|after| after.pool() == pool);
            while page.len() < limit {
                let ids = blobs.list(after, limit - page.len()).await?;
                after = ids.last().copied();
                if after.is_none() {
                    break;
                }
                // A blob that strayed into another pool is found by nobody.
                page.extend(ids.into_iter().filter(|id| id.pool() == pool));
            }
        }
        Ok(page)
    }

    /// The store of pool 0, if every other pool belongs to it too or to none yet.
    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        let first = self.first.store_id().await?;
        for (pool, blobs) in &self.others {
            match blobs.store_id().await? {
                None => {}
                other if other == first => {}
                _ => {
                    let what = format!("pool {} belongs to another store", pool.number());
                    return Err(Error::Io(std::io::Error::other(what)));
                }
            }
        }
        Ok(first)
    }

    async fn adopt(&self, store: StoreId) -> Result<(), Error> {
        for (_, blobs) in self.all() {
            blobs.adopt(store).await?;
        }
        Ok(())
    }

    /// Of the pool that is nearest to its reserve.
    fn space(&self) -> Result<Option<Space>, Error> {
        let mut nearest: Option<Space> = None;
        let room = |space: &Space| i128::from(space.free) - i128::from(space.reserve);
        for (_, blobs) in self.all() {
            if let Some(space) = blobs.space()?
                && nearest.is_none_or(|nearest| room(&space) < room(&nearest))
            {
                nearest = Some(space);
            }
        }
        Ok(nearest)
    }
}

/// A writer into a pool that there is not.
#[derive(Debug)]
struct Nowhere(BlobId);

#[async_trait]
impl BlobWriter for Nowhere {
    async fn write(&mut self, _: Bytes) -> Result<(), Error> {
        Err(Error::NoPool(self.0))
    }

    async fn finish(self: Box<Self>, _: Bytes) -> Result<Finished, Error> {
        Err(Error::NoPool(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, RunId};

    #[tokio::test]
    async fn each_blob_lies_in_the_pool_that_its_id_names() {
        let (first, cold) = (Memory::default(), Memory::default());
        let pool = |number| PoolId::new(number).unwrap();
        let others = BTreeMap::from([(pool(3), Arc::new(cold.clone()) as Arc<dyn Blobs>)]);
        let pools = Pools::new(Arc::new(first.clone()), others);
        let ids = [0, 3].map(|number| BlobId::new(1, pool(number), 0, RunId(1)));
        for id in ids {
            pools.create(id).finish(Bytes::from_static(b"x")).await.unwrap();
        }
        assert_eq!(first.list(None, 9).await.unwrap(), ids[..1]);
        assert_eq!(cold.list(None, 9).await.unwrap(), ids[1..]);
        assert_eq!(pools.list(None, 9).await.unwrap(), ids);
        assert_eq!(pools.list(None, 1).await.unwrap(), ids[..1]);
        assert_eq!(pools.list(Some(ids[0]), 9).await.unwrap(), ids[1..]);
        let nowhere = BlobId::new(1, pool(4), 0, RunId(1));
        assert!(matches!(pools.open(nowhere).await, Err(Error::NoPool(_))));
        let written = pools.create(nowhere).finish(Bytes::new()).await;
        assert!(matches!(written, Err(Error::NoPool(_))));
        pools.delete(&ids).await.unwrap();
        assert!(pools.list(None, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_pool_of_another_store_is_refused() {
        let (first, cold) = (Memory::default(), Memory::default());
        let others = BTreeMap::from([(PoolId::new(1).unwrap(), Arc::new(cold.clone()) as _)]);
        let pools = Pools::new(Arc::new(first), others);
        pools.adopt(StoreId(1)).await.unwrap();
        assert_eq!(pools.store_id().await.unwrap(), Some(StoreId(1)));
        cold.adopt(StoreId(2)).await.unwrap();
        assert!(pools.store_id().await.is_err());
    }

    #[tokio::test]
    async fn a_new_pool_is_adopted_if_it_is_empty() {
        let (first, cold) = (Memory::default(), Memory::default());
        first.adopt(StoreId(1)).await.unwrap();
        let number = PoolId::new(1).unwrap();
        let others = BTreeMap::from([(number, Arc::new(cold.clone()) as _)]);
        let pools = Pools::new(Arc::new(first), others);
        let id = BlobId::new(1, number, 0, RunId(1));
        cold.create(id).finish(Bytes::from_static(b"x")).await.unwrap();
        assert!(pools.adopt_new().await.is_err());
        cold.delete(&[id]).await.unwrap();
        pools.adopt_new().await.unwrap();
        assert_eq!(cold.store_id().await.unwrap(), Some(StoreId(1)));
    }
}
