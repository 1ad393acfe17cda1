//! The connection of the user commands.

use crate::failure::Failure;
use catena_client::{Client, Options};
use catena_link::{Link, Settings};

/// What the server's list of connections shows.
const NAME: &str = "catena-cli";

/// A client of the cluster.
pub(crate) async fn client(settings: Settings) -> Result<Client, Failure> {
    Ok(Client::connect(Options::of(settings).connection_name(NAME)).await?)
}

/// The connection alone.
pub(crate) async fn link(settings: Settings) -> Result<Link, Failure> {
    Ok(catena_link::connect(settings, NAME, false).await?)
}
