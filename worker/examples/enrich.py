"""A service operator: `pip install nats-py`, `catena operators set enrich --subject my.enrich`, run this."""

import asyncio, json, os, nats

async def enrich(request):
    order = json.loads(request.data)
    order["total"] = order["price"] * order["count"]
    await request.respond(json.dumps(order).encode())

async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    await client.subscribe("my.enrich", queue="enrich", cb=enrich)
    await client.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
