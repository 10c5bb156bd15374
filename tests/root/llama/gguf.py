#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a GGUF model of the llama architecture: two small layers, random weights of a fixed seed.

    gguf.py FILE

Its vocabulary is the 256 bytes, so that any text is tokens. What it says means nothing; that it
says the same inside and outside of custody is what tests/root/66-llama.sh looks at.
"""

import random
import struct
import sys

EMBEDDING, FEED_FORWARD, HEADS, LAYERS, CONTEXT = 64, 128, 4, 2, 256
VERSION, ALIGNMENT = 3, 32
U32, F32, STRING, ARRAY = 4, 6, 8, 9        # GGUF's value types
I32 = 5
UNKNOWN, CONTROL, BYTE = 2, 3, 6            # llama.cpp's token types
TOKENS = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % byte for byte in range(256)]
TYPES = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256


def pack_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def pack_array(kind, items):
    pack = {STRING: pack_string, F32: lambda x: struct.pack("<f", x),
            I32: lambda x: struct.pack("<i", x)}[kind]
    return struct.pack("<IQ", kind, len(items)) + b"".join(pack(item) for item in items)


def metadata():
    numbers = {"context_length": CONTEXT, "embedding_length": EMBEDDING, "block_count": LAYERS,
               "feed_forward_length": FEED_FORWARD, "attention.head_count": HEADS,
               "rope.dimension_count": EMBEDDING // HEADS, "vocab_size": len(TOKENS)}
    yield "general.architecture", STRING, pack_string("llama")
    for key, value in numbers.items():
        yield "llama." + key, U32, struct.pack("<I", value)
    yield "llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-5)
    yield "tokenizer.ggml.model", STRING, pack_string("llama")
    yield "tokenizer.ggml.tokens", ARRAY, pack_array(STRING, TOKENS)
    yield "tokenizer.ggml.scores", ARRAY, pack_array(F32, [0.0] * len(TOKENS))
    yield "tokenizer.ggml.token_type", ARRAY, pack_array(I32, TYPES)
    yield "tokenizer.ggml.bos_token_id", U32, struct.pack("<I", 1)
    yield "tokenizer.ggml.eos_token_id", U32, struct.pack("<I", 2)


def tensors():
    """(name, shape with the fastest dimension first)"""
    square = (EMBEDDING, EMBEDDING)
    yield "token_embd.weight", (EMBEDDING, len(TOKENS))
    for layer in range(LAYERS):
        for name, shape in (("attn_norm", (EMBEDDING,)), ("attn_q", square), ("attn_k", square),
                            ("attn_v", square), ("attn_output", square),
                            ("ffn_norm", (EMBEDDING,)), ("ffn_gate", (EMBEDDING, FEED_FORWARD)),
                            ("ffn_up", (EMBEDDING, FEED_FORWARD)),
                            ("ffn_down", (FEED_FORWARD, EMBEDDING))):
            yield "blk.%d.%s.weight" % (layer, name), shape
    yield "output_norm.weight", (EMBEDDING,)
    yield "output.weight", (EMBEDDING, len(TOKENS))


def main(path):
    chance = random.Random(1)
    head, data = b"", b""
    rows = list(tensors())
    for name, shape in rows:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        head += pack_string(name) + struct.pack("<I", len(shape))
        head += struct.pack("<%dQ" % len(shape), *shape) + struct.pack("<IQ", 0, len(data))
        values = ([1.0] * count if len(shape) == 1
                  else [chance.gauss(0, shape[0] ** -0.5) for _ in range(count)])
        data += struct.pack("<%df" % count, *values)
        data += b"\0" * (-len(data) % ALIGNMENT)
    pairs = list(metadata())
    start = b"GGUF" + struct.pack("<IQQ", VERSION, len(rows), len(pairs))
    start += b"".join(pack_string(k) + struct.pack("<I", t) + v for k, t, v in pairs) + head
    with open(path, "wb") as file:
        file.write(start + b"\0" * (-len(start) % ALIGNMENT) + data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
