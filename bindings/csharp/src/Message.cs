// SPDX-License-Identifier: MIT
using System.Collections.Generic;

namespace Bitnet {

/// <summary>A turn of a conversation.</summary>
public sealed class Message {
    /// <summary>Of any role that the model's template knows.</summary>
    public Message(string role, string content) {
        Role = Arguments.NotNull(role, nameof(role));
        Content = Arguments.NotNull(content, nameof(content));
    }

    /// <summary>Instructions to the model.</summary>
    public static Message System(string content) => new Message("system", content);
    /// <summary>What the person says.</summary>
    public static Message User(string content) => new Message("user", content);
    /// <summary>What the model has said.</summary>
    public static Message Assistant(string content) => new Message("assistant", content);

    /// <summary>Who speaks.</summary>
    public string Role { get; }
    /// <summary>What is said.</summary>
    public string Content { get; }

    internal static Native.Conversation ToNative(IEnumerable<Message> messages) {
        var conversation = new Native.Conversation();
        foreach (Message message in Arguments.NotNull(messages, nameof(messages))) {
            Arguments.NotNull(message, nameof(messages));
            conversation.add(Arguments.Utf8(message.Role, nameof(Role)),
                             Arguments.Utf8(message.Content, nameof(Content)));
        }
        return conversation;
    }
}

}
