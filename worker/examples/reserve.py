"""A service operator that reads and writes as a part of its job: `pip install nats-py`,
`catena operators set reserve --subject my.reserve --effect writing`, run this."""

import asyncio, json, os, nats

async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))

    async def store(request, verb, key, body=""):
        """Asks for a key on the subject that came with the request; await every answer."""
        answer = await client.request(f"{request.headers[verb]}.{key}", body.encode())
        if error := (answer.headers or {}).get("Nats-Service-Error"):
            raise RuntimeError(error)
        return answer.data.decode()

    async def reserve(request):
        try:
            order = json.loads(request.data)
            key = f"stock.{order['item']}"
            left = int(await store(request, "Catena-Read", key)) - order["count"]
            if left < 0:
                raise RuntimeError(f"sold out: {left + order['count']} left")
            await store(request, "Catena-Write", key, str(left))
            await store(request, "Catena-Add", "reserved", str(order["count"]))
            await request.respond(json.dumps(order | {"left": left}).encode())
        except Exception as error:
            headers = {"Nats-Service-Error": str(error), "Nats-Service-Error-Code": "422"}
            await client.publish(request.reply, headers=headers)

    await client.subscribe("my.reserve", queue="reserve", cb=reserve)
    await client.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
