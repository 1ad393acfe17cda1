//! Service operators against programs that answer, refuse, say too much or are not there.

use crate::operator::memory_store::{MemoryStore, opening};
use crate::operator::{Context, Doors, Opening, Operator, Output, ServiceOperator};
use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use catena_protocol::chain::Service;
use catena_protocol::limit::PAYLOAD_BYTES;
use catena_protocol::{Code, NodeId, edge};
use catena_testing::{NatsServer, within};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

async fn serve(client: &Client) {
    let mut requests = client.subscribe("test.>").await.unwrap();
    let client = client.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let reply = request.reply.unwrap();
            let seen = request.headers.unwrap();
            let mut headers = HeaderMap::new();
            let body: Bytes = match request.subject.as_str() {
                "test.upper" => {
                    let text = String::from_utf8(request.payload.to_vec()).unwrap();
                    let about = [edge::JOB, "Catena-Step", edge::CHAIN, edge::TRACE]
                        .map(|name| seen.get(name).unwrap().to_string());
                    format!("{} {}", text.to_uppercase(), about.join(" ")).into()
                }
                "test.refuse" => {
                    headers.insert(edge::ERROR, "no such customer");
                    headers.insert(edge::ERROR_CODE, "404");
                    Bytes::new()
                }
                "test.long" => vec![b'x'; PAYLOAD_BYTES + 1].into(),
                _ => continue,
            };
            client.publish_with_headers(reply, headers, body).await.unwrap();
        }
    });
}

fn doors() -> Doors {
    Doors::new(Arc::default(), NodeId::new("worker-1").unwrap())
}

async fn ask(client: &Client, subject: &str, input: impl Into<Bytes>) -> Output {
    let operator = ServiceOperator::new(client.clone(), &Service::parse(subject).unwrap(), doors());
    let trace = Some("00-trace".to_owned());
    let context = Context::open(Opening { trace, step: 3, ..opening() }, MemoryStore::with(&[]));
    within(10, "an answer", Arc::new(operator).run(context, input.into())).await
}

#[tokio::test]
async fn services_answer_refuse_or_are_not_there() {
    let server = NatsServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    // On the asker's own connection, because there the subscription comes before the requests.
    serve(&client).await;

    let job = opening().job;
    let answer = ask(&client, "test.upper", "hello").await.unwrap();
    assert_eq!(answer, format!("HELLO {job} 3 test 00-trace"));

    let refused = ask(&client, "test.refuse", "").await.unwrap_err();
    assert_eq!(refused.code, Code::OperatorFailed);
    assert!(refused.message.contains("no such customer") && refused.message.contains("404"));

    assert_eq!(ask(&client, "test.long", "").await.unwrap_err().code, Code::TooLarge);

    let missing = ask(&client, "nobody.here", "").await.unwrap_err();
    assert_eq!(missing.code, Code::Unavailable);
    assert!(missing.message.contains("`nobody.here`"), "{missing}");

    let long = vec![0; 2 * 1024 * 1024];
    assert_eq!(ask(&client, "test.upper", long).await.unwrap_err().code, Code::TooLarge);
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up_without_a_trace() {
    let server = NatsServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut requests = client.subscribe("test.silent").await.unwrap();
    let asking = {
        let client = client.clone();
        tokio::spawn(async move { ask(&client, "test.silent", "x").await })
    };
    let request = within(10, "the request", requests.next()).await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    // Nobody listens to the answer any more: a request sent there has no responders.
    let inbox = request.reply.unwrap();
    let gone = within(10, "the end of the subscription", async {
        loop {
            // Should somebody still listen, nobody answers.
            let request = Request::new().timeout(Some(Duration::from_millis(100)));
            let asked = client.send_request(inbox.clone(), request).await;
            if let Err(error) = asked
                && error.kind() == async_nats::client::RequestErrorKind::NoResponders
            {
                return error;
            }
        }
    });
    gone.await;
}
