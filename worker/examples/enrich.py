"""A service operator: `pip install nats-py`, `catena operators set enrich --subject my.enrich`, run this."""

import asyncio, json, os, nats

async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))

    async def enrich(request):
        try:
            order = json.loads(request.data)
            order["total"] = order["price"] * order["count"]
            await request.respond(json.dumps(order).encode())
        except Exception as error:
            headers = {"Nats-Service-Error": repr(error), "Nats-Service-Error-Code": "422"}
            await client.publish(request.reply, headers=headers)

    await client.subscribe("my.enrich", queue="enrich", cb=enrich)
    await client.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
