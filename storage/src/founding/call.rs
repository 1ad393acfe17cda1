//! A node with an empty directory says so again and again, and listens to the others.

use super::found;
use super::founders::Gathering;
use crate::cluster;
use crate::config::Founders;
use crate::error::Error;
use async_nats::{Request, RequestErrorKind, Subscriber};
use catena_link::Link;
use catena_protocol::codec;
use catena_protocol::message::founding::{Announcement, Plan};
use catena_protocol::message::store::Cluster;
use catena_protocol::placement::Member;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

/// Time between two announcements.
const ROUND: Duration = Duration::from_millis(200);
/// Rounds in which whoever knows better can say so, before anything is decided.
const PATIENCE: u32 = 3;
/// Rounds between two lines in the log that say what is waited for.
const SAY: u32 = 25;

pub(super) struct Call {
    link: Link,
    heard: Subscriber,
    announcement: Vec<u8>,
    gathering: Gathering,
    round: Interval,
    rounds: u32,
}

/// Whether there is certainly no other storage node, as the NATS server says at once.
pub(super) async fn nobody_listens(link: &Link, me: &Member, plan: Plan) -> bool {
    let announcement = Announcement { member: me.clone(), cluster: None, plan };
    let request = Request::new().payload(codec::encode(&announcement).into()).timeout(Some(ROUND));
    let answer = link.client.send_request(link.subjects.founding(), request).await;
    answer.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

impl Call {
    pub(super) async fn start(
        link: &Link,
        me: &Member,
        plan: Plan,
        founders: Option<&Founders>,
    ) -> Result<Self, Error> {
        let heard = link.client.subscribe(link.subjects.founding()).await;
        let announcement = Announcement { member: me.clone(), cluster: None, plan };
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            link: link.clone(),
            heard: heard.map_err(Error::closed)?,
            announcement: codec::encode(&announcement),
            gathering: Gathering::new(me.clone(), plan, founders),
            round,
            rounds: 0,
        })
    }

    /// Waits until there is a cluster, and founds it if that falls to this node. Returns what the
    /// bucket says then, whether this node belongs to it or not.
    pub(super) async fn found(mut self) -> Result<Cluster, Error> {
        info!("looking for a cluster, or for those that found one with this node");
        let mut refused = None;
        loop {
            self.round().await?;
            if let Some(record) = cluster::known(&self.link).await {
                return Ok(record);
            }
            if self.rounds > PATIENCE
                && let Some(members) = self.gathering.to_be_founded(Instant::now())
            {
                let record = found(self.gathering.plan(), members);
                if record.members.len() == 1 {
                    // Which needs no JetStream.
                    return Ok(record);
                }
                refused = cluster::record(&self.link, &record).await.err();
            }
            if self.rounds.is_multiple_of(SAY) {
                self.say(refused.as_ref());
            }
        }
    }

    /// Refuses if another process answers under the same id: then its disk is not gone.
    pub(super) async fn nobody_answers(mut self) -> Result<(), Error> {
        while self.rounds <= PATIENCE {
            self.round().await?;
        }
        Ok(())
    }

    /// Announces this node and listens until it is time to do so again.
    async fn round(&mut self) -> Result<(), Error> {
        self.announce().await?;
        self.rounds += 1;
        loop {
            tokio::select! {
                _ = self.round.tick() => return Ok(()),
                message = self.heard.next() => {
                    let message = message.ok_or_else(|| Error::closed("its subscription ended"))?;
                    if let Ok(announcement) = codec::decode(&message.payload)
                        && let Err(error) = self.gathering.hear(announcement, Instant::now())
                    {
                        // The other one, which may have come later, is to know it as well.
                        self.announce().await?;
                        let _ = self.link.client.flush().await;
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn announce(&self) -> Result<(), Error> {
        let subject = self.link.subjects.founding();
        let body = self.announcement.clone().into();
        self.link.client.publish(subject, body).await.map_err(Error::closed)
    }

    fn say(&self, refused: Option<&async_nats::Error>) {
        match refused {
            Some(error) => {
                warn!(%error, "JetStream is needed to found a cluster of several storage nodes; \
                      trying again");
            }
            None => warn!("no cluster yet: {}", self.gathering.missing(Instant::now())),
        }
    }
}
