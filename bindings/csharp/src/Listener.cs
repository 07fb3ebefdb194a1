// SPDX-License-Identifier: MIT
using System;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace Bitnet {

/// <summary>How far long work has come, in bytes.</summary>
public struct WorkProgress {
    internal WorkProgress(long done, long total) {
        Done = done;
        Total = total;
    }

    /// <summary>How much is done.</summary>
    public long Done { get; }
    /// <summary>How much there is to do.</summary>
    public long Total { get; }
}

/// <summary>Calls the user's functions. What they throw cancels the call under way, and is thrown once it is back.
/// </summary>
internal sealed class Listener : Native.Listener {
    private readonly IProgress<WorkProgress> report;
    private readonly Action<LogLevel, string> write;
    private CancellationToken cancellationToken;
    private ExceptionDispatchInfo thrown;

    internal Listener(IProgress<WorkProgress> progress, Action<LogLevel, string> log = null) {
        report = progress;
        write = log;
    }

    public override bool progress(long done, long total) {
        Guard(() => report?.Report(new WorkProgress(done, total)));
        return thrown == null && !cancellationToken.IsCancellationRequested;
    }

    public override void log(Native.bitnet_log_level level, byte[] message) {
        Guard(() => write?.Invoke((LogLevel)level, Arguments.Text(message)));
    }

    private void Guard(Action action) {
        try {
            action();
        } catch (Exception exception) {
            Interlocked.CompareExchange(ref thrown, ExceptionDispatchInfo.Capture(exception), null);
        }
    }

    /// <summary>The result of call(this).</summary>
    internal T Call<T>(Func<Native.Listener, T> call, CancellationToken token) where T : class, IDisposable {
        token.ThrowIfCancellationRequested();
        cancellationToken = token;
        T result = null;
        try {
            result = call(this);
        } catch (BitnetException exception) when (thrown != null || Arguments.IsOf(exception, token)) {
            if (thrown == null) throw new OperationCanceledException(exception.Message, exception, token);
        }
        // The model's log goes on calling this, with nobody left to throw to.
        cancellationToken = CancellationToken.None;
        ExceptionDispatchInfo first = Interlocked.Exchange(ref thrown, null);
        if (first == null) return result;
        result?.Dispose();
        first.Throw();
        throw first.SourceException;
    }

    internal void Call(Action<Native.Listener> call, CancellationToken token) {
        Call<IDisposable>(listener => {
            call(listener);
            return null;
        }, token);
    }
}

}
