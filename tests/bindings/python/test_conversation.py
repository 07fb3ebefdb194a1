# SPDX-License-Identifier: MIT
"""Chats: conversations that are kept."""
import asyncio
import json

import pytest

import bitnet

HI = {"role": "user", "content": "Hi"}


@pytest.fixture
def chat(chat_model):
    with chat_model.session() as session, bitnet.Chat(session) as chat:
        yield chat


def test_history(chat, chat_model):
    chat.add("system", "Be brief.")
    first = "".join(chat.send("Hi", max_tokens=6))
    assert chat.messages == [{"role": "system", "content": "Be brief."}, HI, {"role": "assistant", "content": first}]
    assert len(chat) == 3 and chat[-1]["content"] == first and list(chat) == chat.messages
    with chat_model.session() as other:
        assert "".join(other.chat(chat.messages[:2], max_tokens=6)) == first, "the same as from nothing"
    assert "".join(chat.regenerate(max_tokens=6)) == first
    assert len(chat) == 3
    prompt = chat.prompt
    assert prompt.left_out == 0 and 0 < prompt.tokens < prompt.tokens_needed
    chat.insert(1, "user", "Grüße\0!")
    chat.remove(2)
    assert [message["content"] for message in chat] == ["Be brief.", "Grüße\0!"]
    chat.remove(0, 1)
    assert repr(chat) == "<bitnet.Chat 1 messages>"
    with pytest.raises(IndexError, match="no message 1"):
        chat[1]
    with pytest.raises(bitnet.ArgumentError):
        chat.insert(7, "user", "Hi")


def test_a_reply_that_is_broken_off_stays_as_far_as_it_came(chat):
    reply = chat.send("Hi", max_tokens=50)
    text = next(reply)
    assert chat.messages == [HI], "while it is under way"
    reply.close()
    assert chat.messages == [HI, {"role": "assistant", "content": text}]
    reply = chat.reply(max_tokens=50)
    next(reply)
    chat.remove(1)
    with pytest.raises(bitnet.BitnetError):
        list(reply)
    assert chat.messages == [HI]


def test_asynchronous_replies(chat):
    async def send():
        return "".join([text async for text in chat.send("Hi", max_tokens=6)])

    assert chat.messages == []
    text = asyncio.run(send())
    assert chat[-1]["content"] == text


def test_another_day(chat, chat_model, tmp_path):
    chat.add("user", 'Hi "there"')
    chat.save(tmp_path / "chat.json")
    assert json.loads((tmp_path / "chat.json").read_text())["messages"] == chat.messages
    with chat_model.session() as session, bitnet.Chat(session, [HI], trust=True) as other:
        other.load(tmp_path / "chat.json")
        assert other.messages == chat.messages
        other.load_json(json.dumps({"messages": [HI]}))
        assert other.messages == [HI]
        other.load_json(chat.save_json().encode())
        assert other.messages == chat.messages
        with pytest.raises(bitnet.FormatError):
            other.load_json("{")
        with pytest.raises(FileNotFoundError):
            other.load(tmp_path / "none")


def test_refusing(model, chat_model):
    with chat_model.session() as session, bitnet.Chat(session, fit="refuse") as chat:
        with pytest.raises(bitnet.ContextError):
            chat.send("a b " * 100000)
        assert chat.messages == [], "the message is not there either"
        with pytest.raises(bitnet.ArgumentError):
            chat.reply()
    with pytest.raises(bitnet.ArgumentError, match="the chat is closed"):
        chat.add("user", "Hi")
    for wrong in {"fit": "shrink"}, {"reserve": -1}:
        with pytest.raises(ValueError):
            bitnet.Chat(model.session(), plain=True, **wrong)
    with pytest.raises(TypeError):
        bitnet.Chat(model)
    with pytest.raises(bitnet.UnsupportedError):
        bitnet.Chat(model.session())
    with bitnet.Chat(model.session(), plain=True) as plain:
        assert "".join(plain.send("It was", max_tokens=4))
