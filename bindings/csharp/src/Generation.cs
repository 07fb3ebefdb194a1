// SPDX-License-Identifier: MIT
using System;
using System.Collections;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Bitnet {

/// <summary>Text being generated, in pieces of whole characters, by <c>foreach</c> or <c>await foreach</c>. Leaving the
/// loop ends it, and so does anything else that changes the session, which keeps what has been evaluated.</summary>
public sealed class Generation : NativeObject, IEnumerable<string> {
    private readonly Session session;  // which lives, and its model's listener, as long as text comes
    private readonly Native.Generation native;
    private readonly CancellationToken cancellationToken;
    private readonly List<int> tokens = new List<int>();

    internal Generation(Session session, Native.Generation native, CancellationToken cancellationToken) {
        this.session = session;
        this.native = native;
        this.cancellationToken = cancellationToken;
    }

    /// <summary>The session whose text it is.</summary>
    public Session Session => session;

    /// <summary>The tokens drawn so far.</summary>
    public IReadOnlyList<int> Tokens => tokens;

    /// <summary>Null while there is more to come.</summary>
    public Finish? Finish { get; private set; }

    /// <summary>From any thread: the step under way throws, or the next one. What is over may be cancelled, too.
    /// </summary>
    public void Cancel() {
        try {
            native.cancel();
        } catch (ObjectDisposedException) {
            return;
        }
    }

    /// <summary>The pieces from here on; disposing of the enumerator ends the generation.</summary>
    public IEnumerator<string> GetEnumerator() {
        using (this) {
            for (string text; (text = Next()) != null;) yield return text;
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>The pieces from here on for <c>await foreach</c>, which finds this method by its name. No thread waits for
    /// them, however many generations are under way.</summary>
    public AsyncEnumerator GetAsyncEnumerator(
        CancellationToken cancellationToken = default(CancellationToken)) {
        return new AsyncEnumerator(this, cancellationToken);
    }

    /// <summary>The next piece that is not empty, or null at the end.</summary>
    private string Next() {
        while (Finish == null) {
            string text = Step(CancellationToken.None, Take);
            if (text.Length > 0) return text;
        }
        return null;
    }

    /// <summary>The same without waiting for it.</summary>
    private async Task<string> NextAsync(CancellationToken another) {
        while (Finish == null) {
            using (cancellationToken.Register(Cancel))
            using (another.Register(Cancel)) {
                await Step(another, () => Waiting.Next(native.submit)).ConfigureAwait(false);
            }
            string text = Step(another, Take);
            if (text.Length > 0) return text;
        }
        return null;
    }

    /// <summary>The text of the next token.</summary>
    private string Take() {
        using (Native.Piece piece = native.next()) {
            if (piece.finish != 0) {
                Finish = (Finish)piece.finish;
            } else {
                tokens.Add(piece.token);
            }
            return Arguments.Text(piece.text);
        }
    }

    private T Step<T>(CancellationToken another, Func<T> call) {
        cancellationToken.ThrowIfCancellationRequested();
        another.ThrowIfCancellationRequested();
        try {
            using (cancellationToken.Register(Cancel))
            using (another.Register(Cancel)) return session.Use(() => Use(call));
        } catch (BitnetException exception) when (exception.Status == Status.Cancelled) {
            cancellationToken.ThrowIfCancellationRequested();
            another.ThrowIfCancellationRequested();
            throw;
        }
    }

    /// <summary>How far it is, for people: at once, whatever the session is doing.</summary>
    public override string ToString() {
        return "Generation[" + tokens.Count + " tokens" + (Finish == null ? "" : ", " + Finish) + Ending;
    }

    internal override void Release() {
        native.close();
        native.Dispose();
    }

    /// <summary>What <c>await foreach</c> walks with.</summary>
    public sealed class AsyncEnumerator {
        private readonly Generation generation;
        private readonly CancellationToken cancellationToken;

        internal AsyncEnumerator(Generation generation, CancellationToken cancellationToken) {
            this.generation = generation;
            this.cancellationToken = cancellationToken;
        }

        /// <summary>The piece that the last step brought.</summary>
        public string Current { get; private set; }

        /// <summary>Brings the next piece; false at the end.</summary>
        public async Task<bool> MoveNextAsync() {
            Current = await generation.NextAsync(cancellationToken).ConfigureAwait(false);
            return Current != null;
        }

        /// <summary>Ends the generation.</summary>
        public Task DisposeAsync() => Task.Run(() => generation.Dispose());
    }
}

}
