//! Chains: as they were defined, and resolved to what jobs run.
//!
//! A definition is resolved when it is used, because workers come and go; the result is kept
//! until an operator changes. A job keeps what it started with. Unknown here: where definitions
//! are stored.

use super::operators::{OperatorId, Operators};
use super::submit::Called;
use bytes::Bytes;
use catena_protocol::chain::{Chain, Definition, Effect, Isolation, Step, StepDefinition};
use catena_protocol::subject::INLINE;
use catena_protocol::{ChainHash, Code, Fault, Name};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

/// Most named chains.
const NAMED: usize = 65_536;
/// Most inline chains that are kept resolved; the oldest makes room.
const INLINED: usize = 1_024;
/// At least so many chains by content are kept before those that nobody uses are dropped.
const BY_HASH: usize = 1_024;

/// Who can run a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// The workers that offer this operator.
    Offered(OperatorId),
    /// Every worker: the operator is a service.
    Anywhere,
}

/// A chain that can be run.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) chain: Chain,
    pub(super) hash: ChainHash,
    pub(super) bytes: Bytes,
    pub(super) seats: Vec<Seat>,
    pub(super) deadline_ms: u64,
    /// How long an attempt may stay silent; none: until the deadline.
    pub(super) silence_ms: Option<u64>,
    pub(super) retries: u32,
    /// JSON pointer to the routing key in the input.
    pub(super) key: Option<String>,
    /// Whether it may change the store, so that its jobs need an outcome.
    pub(super) writes: bool,
}

impl Ready {
    /// Whether what its steps write takes effect at once, and not with the job's end.
    pub(super) fn writes_at_once(&self) -> bool {
        self.writes && self.chain.isolation == Isolation::Latest
    }
}

#[derive(Debug)]
struct Defined {
    /// None: it was deleted; kept so that an older revision that comes late stays without effect.
    definition: Option<Result<Definition, Fault>>,
    revision: u64,
    ready: Option<(u64, Arc<Ready>)>,
}

/// All chains.
#[derive(Debug, Default)]
pub(super) struct Chains {
    named: BTreeMap<Name, Defined>,
    inlined: BTreeMap<String, Defined>,
    /// Inline chains, oldest first.
    order: VecDeque<String>,
    by_hash: BTreeMap<ChainHash, (Bytes, Weak<Ready>)>,
    /// How many of these there may be before the next sweep.
    sweep_at: usize,
    /// Whether the definitions have been read once.
    pub(super) loaded: bool,
}

/// The name of every inline chain.
pub(super) fn inline() -> Name {
    #[allow(clippy::expect_used, reason = "a constant that is a name")]
    Name::new(INLINE).expect("a valid name")
}

impl Chains {
    /// The longest deadline of what is defined, in milliseconds.
    pub(super) fn longest_deadline_ms(&self) -> u64 {
        let defined =
            self.named.values().filter_map(|chain| chain.definition.as_ref()?.as_ref().ok());
        defined.map(|definition| definition.deadline).max().unwrap_or(0)
    }

    /// A chain was defined, here or elsewhere; an older revision than known is ignored.
    pub(super) fn define(
        &mut self,
        name: Name,
        revision: u64,
        definition: Option<Result<Definition, Fault>>,
    ) {
        let known = self.named.get(&name).map_or(0, |known| known.revision);
        if revision < known || (revision == known && known > 0) {
            return;
        }
        if self.named.len() >= NAMED && !self.named.contains_key(&name) {
            self.named.retain(|_, known| known.definition.is_some());
            if self.named.len() >= NAMED {
                return;
            }
        }
        self.named.insert(name, Defined { definition, revision, ready: None });
    }

    /// Everything that was defined is in `present`; what is not is gone.
    pub(super) fn keep_only(&mut self, present: &std::collections::BTreeSet<Name>) {
        self.named.retain(|name, _| present.contains(name));
        self.loaded = true;
    }

    /// Whether there is a definition, good or bad.
    pub(super) fn knows(&self, name: &Name) -> bool {
        self.named.get(name).is_some_and(|known| known.definition.is_some())
    }

    /// The chain that is meant, ready to run.
    ///
    /// # Errors
    /// 404 if there is none, 400 if its definition is wrong, 503 if an operator of a defined
    /// chain was never offered.
    pub(super) fn ready(
        &mut self,
        called: &Called,
        operators: &Operators,
    ) -> Result<Arc<Ready>, Fault> {
        let (name, defined) = match called {
            Called::Named(name) => (name.clone(), self.named.get_mut(name)),
            Called::Inline(text) => (inline(), Some(self.inlined(text)?)),
        };
        let Some(defined) = defined else { return Err(self.undefined(&name)) };
        if let Some((generation, ready)) = &defined.ready
            && *generation == operators.generation
        {
            return Ok(Arc::clone(ready));
        }
        let definition = match &defined.definition {
            Some(definition) => definition.as_ref().map_err(Clone::clone)?,
            None => return Err(self.undefined(&name)),
        };
        let ready = Arc::new(resolve(&name, definition, operators)?);
        defined.ready = Some((operators.generation, Arc::clone(&ready)));
        self.remember(&ready);
        Ok(ready)
    }

    fn undefined(&self, name: &Name) -> Fault {
        if self.loaded {
            return Fault::new(Code::NotFound, format!("chain `{name}` is not defined"));
        }
        Fault::new(
            Code::Unavailable,
            format!(
                "chain `{name}` is not known here yet: the definitions have not been read; \
                 nothing was started; try again"
            ),
        )
    }

    fn inlined(&mut self, text: &str) -> Result<&mut Defined, Fault> {
        if !self.inlined.contains_key(text) {
            let definition = Definition::parse(text)?;
            if self.order.len() >= INLINED
                && let Some(oldest) = self.order.pop_front()
            {
                self.inlined.remove(&oldest);
            }
            self.order.push_back(text.to_owned());
            let defined = Defined { definition: Some(Ok(definition)), revision: 0, ready: None };
            self.inlined.insert(text.to_owned(), defined);
        }
        self.inlined
            .get_mut(text)
            .ok_or_else(|| Fault::new(Code::Internal, "an inline chain was lost; try again"))
    }

    fn remember(&mut self, ready: &Arc<Ready>) {
        if self.by_hash.len() >= self.sweep_at.max(BY_HASH) {
            self.by_hash.retain(|_, (_, used)| used.strong_count() > 0);
            self.sweep_at = 2 * self.by_hash.len();
        }
        self.by_hash.insert(ready.hash, (ready.bytes.clone(), Arc::downgrade(ready)));
    }

    /// The encoding of the chain with this content, if a job here may still run it.
    pub(super) fn bytes(&self, hash: &ChainHash) -> Option<Bytes> {
        self.by_hash.get(hash).map(|(bytes, _)| bytes.clone())
    }
}

/// Looks up the operators of a definition.
///
/// # Errors
/// 404 for an inline chain, 503 for a defined one, with the operator that nobody ever offered.
pub(super) fn resolve(
    name: &Name,
    definition: &Definition,
    operators: &Operators,
) -> Result<Ready, Fault> {
    let mut seats = Vec::with_capacity(definition.steps.len());
    let mut steps = Vec::with_capacity(definition.steps.len());
    for step in &definition.steps {
        let (seat, step) = resolve_step(step, operators).map_err(|fault| {
            if name.as_str() == INLINE {
                return fault;
            }
            let message = format!("chain `{name}` cannot run: {}", fault.message);
            Fault::new(Code::Unavailable, message)
        })?;
        seats.push(seat);
        steps.push(step);
    }
    let count = steps.len() as u64;
    let chain = Chain {
        name: name.clone(),
        steps,
        step_timeout_ms: definition.step_timeout.unwrap_or(definition.deadline),
        isolation: definition.isolation,
    };
    let (hash, bytes) = chain.hashed();
    let margin = 1_000;
    Ok(Ready {
        writes: chain.effect() == Effect::Writing,
        chain,
        hash,
        bytes: bytes.into(),
        seats,
        deadline_ms: definition.deadline,
        silence_ms: definition.step_timeout.map(|ms| ms.saturating_mul(count) + margin),
        retries: definition.retries,
        key: definition.key.clone(),
    })
}

fn resolve_step(step: &StepDefinition, operators: &Operators) -> Result<(Seat, Step), Fault> {
    let unknown = || operators.unknown(&step.operator);
    let id = operators.find(&step.operator).ok_or_else(unknown)?;
    let known = operators.get(id).ok_or_else(unknown)?;
    let (seat, effect, service) = match (&known.offer, &known.service) {
        (Some(offer), _) => (Seat::Offered(id), offer.effect, None),
        (None, Some(service)) => (Seat::Anywhere, service.effect, Some(service.clone())),
        (None, None) => return Err(unknown()),
    };
    let settings = if step.settings.is_null() { String::new() } else { step.settings.to_string() };
    Ok((seat, Step { operator: step.operator.clone(), settings, effect, service }))
}
