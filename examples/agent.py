# examples/agent.py
import base64, hashlib, json, os, socket, struct, threading, urllib.parse

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def read_head(stream):
    lines = [line.decode().strip() for line in iter(stream.readline, b"\r\n")]
    fields = (line.partition(":") for line in lines[1:])
    return lines[0], {name.lower(): value.strip() for name, _, value in fields}


def read_frame(stream):
    first, length = stream.read(2)
    mask_bytes, length = (4 if length & 128 else 0), length & 127
    if length > 125:
        length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
    mask, payload = stream.read(mask_bytes) or bytes(4), stream.read(length)
    return first & 15, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def send(stream, payload, is_client, opcode=1):
    """A client masks what it sends (RFC 6455, section 5.3)."""
    size = len(payload)
    short, size = (size, b"") if size < 126 else (126, struct.pack("!H", size)) if size < 65536 else (127, struct.pack("!Q", size))
    mask = os.urandom(4) if is_client else b""
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if is_client else payload
    stream.write(bytes([128 | opcode, short | (128 if is_client else 0)]) + size + mask + body)
    stream.flush()


def messages(stream, is_client):
    while True:
        opcode, payload = read_frame(stream)
        if opcode == 1:
            yield payload.decode()
        elif opcode == 9:
            send(stream, payload, is_client, 10)
        elif opcode == 8:
            return send(stream, payload[:2], is_client, 8)


def serve(connection):
    stream = connection.makefile("rwb")
    key = read_head(stream)[1]["sec-websocket-key"] + GUID
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    answer = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    stream.write(b"HTTP/1.1 101 Switching Protocols\r\n" + answer.encode())
    say = lambda event: send(stream, json.dumps(event).encode(), False)
    say({"type": "init_state", "messages": [], "tools": []})
    for prompt in messages(stream, False):
        message = {"role": "assistant", "content": [{"type": "text", "text": f"You said: {prompt}"}]}
        for kind in ("message_start", "message_update", "message_end"):
            say({"type": kind, "message": message})


def accept(server):
    while True:
        threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(server,), daemon=True).start()
url = urllib.parse.urlsplit(os.environ.get("HYPIVISOR_WS", "ws://localhost:31415/ws"))
uplink = socket.create_connection((url.hostname, url.port or 80)).makefile("rwb")
fields = {"Host": url.netloc, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
fields["Sec-WebSocket-Key"] = base64.b64encode(os.urandom(16)).decode()
fields["Authorization"] = "Bearer " + os.environ.get("HYPI_TOKEN", "")
lines = [f"GET {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
uplink.write("\r\n".join([*lines, "", ""]).encode())
uplink.flush()
assert " 101 " in read_head(uplink)[0], "hypivisor refused"
node = {"id": "echo-py", "machine": socket.gethostname(), "cwd": os.getcwd(), "status": "active"}
node["port"] = server.getsockname()[1]
send(uplink, json.dumps({"id": 1, "method": "register", "params": node}).encode(), True)
for message in messages(uplink, True):
    print(message, flush=True)
