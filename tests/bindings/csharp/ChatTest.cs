// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using Bitnet;
using NUnit.Framework;

/// <summary>Conversations that are kept.</summary>
[TestFixture]
public class ChatTest : Fixture {
    private Session session;
    private Chat chat;

    [SetUp]
    public void Begin() {
        session = Chatty.CreateSession();
        chat = new Chat(session);
    }

    [TearDown]
    public void End() {
        chat.Dispose();
        session.Dispose();
    }

    private static string[] Shown(Chat chat) => chat.Messages.Select(message => message.ToString()).ToArray();

    [Test]
    public void KeepsItsHistory() {
        chat.Add(Message.System("Be brief."));
        string first = Text(chat.Send("Hi", Max(6)));
        CollectionAssert.AreEqual(new[] { "system: Be brief.", "user: Hi", "assistant: " + first }, Shown(chat));
        using (Session other = Chatty.CreateSession()) {
            Assert.AreEqual(first, Text(other.Chat(chat.Messages.Take(2), Max(6))), "the same as from nothing");
        }
        Assert.AreEqual(first, Text(chat.Regenerate(Max(6))));
        Assert.AreEqual(3, chat.Count);
        Assert.Greater(chat.Prompt.TokensNeeded, chat.Prompt.Tokens);
        Assert.AreEqual(0, chat.Prompt.LeftOut);
        chat.Insert(1, Message.User("Grüße\0!"));
        chat.Remove(2);
        CollectionAssert.AreEqual(new[] { "system: Be brief.", "user: Grüße\0!" }, Shown(chat));
        Assert.AreEqual("Chat[2 messages]", chat.ToString());
    }

    [Test]
    public void AReplyThatIsBrokenOffStaysAsFarAsItCame() {
        string text;
        using (IEnumerator<string> pieces = chat.Send("Hi", Max(50)).GetEnumerator()) {
            pieces.MoveNext();
            text = pieces.Current;
            CollectionAssert.AreEqual(new[] { "user: Hi" }, Shown(chat));
        }
        CollectionAssert.AreEqual(new[] { "user: Hi", "assistant: " + text }, Shown(chat));
        using (var cancel = new CancellationTokenSource()) {
            Generation reply = chat.Regenerate(Max(50), cancel.Token);
            cancel.Cancel();
            Assert.Throws<OperationCanceledException>(() => Text(reply));
        }
        CollectionAssert.AreEqual(new[] { "user: Hi", "assistant: " + text }, Shown(chat));
    }

    [Test]
    public void GoesOnAnotherDay() {
        chat.Add(Message.User("Hi \"there\""));
        string file = Path.Combine(Folder, "chat.json");
        chat.Save(file);
        StringAssert.Contains("messages", File.ReadAllText(file));
        using (var other = new Chat(session, new ChatOptions { Trust = true })) {
            other.Load(file);
            CollectionAssert.AreEqual(Shown(chat), Shown(other));
            other.LoadJson("{\"messages\": []}");
            Assert.AreEqual(0, other.Count);
            other.LoadJson(chat.SaveJson());
            CollectionAssert.AreEqual(Shown(chat), Shown(other));
            Fails(Status.Format, () => other.LoadJson("{"));
        }
    }

    [Test]
    public void Refuses() {
        using (var strict = new Chat(session, new ChatOptions { Fit = ChatFit.Refuse, Reserve = 5 })) {
            Fails(Status.Context, () => strict.Send(string.Concat(Enumerable.Repeat("a b ", 100000))));
            Assert.AreEqual(0, strict.Count);
            Fails(Status.Argument, () => strict.Reply());
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new Chat(session, new ChatOptions { Reserve = -1 }));
        chat.Dispose();
        Disposed<Chat>(() => chat.Add(Message.User("Hi")));
        Assert.AreEqual("Chat[disposed]", chat.ToString());
    }
}
