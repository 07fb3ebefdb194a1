// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;

namespace Bitnet {

/// <summary>How ternary weights are packed.</summary>
public enum Packing {
    /// <summary>i2, or as the file is.</summary>
    Default = 0,
    /// <summary>2 bits a weight.</summary>
    I2 = 1,
    /// <summary>1.6 bits a weight, five in a byte; the same results.</summary>
    T5 = 2
}

/// <summary>How the output head is kept.</summary>
public enum Head {
    /// <summary>f16. Of a file that is converted: a GGUF file of 16384 tokens or more becomes screened, a .bitnet file
    /// stays as it is.</summary>
    Default = 0,
    /// <summary>As published.</summary>
    F16 = 1,
    /// <summary>8 bits a weight with a scale per row: half the bytes, slightly other logits.</summary>
    Int8 = 2,
    /// <summary>6 bits a weight with a scale for every 16: 0.41 of the bytes, slightly other logits.</summary>
    Q6 = 3,
    /// <summary>f16 with a screen beside it: the same logits and tokens; greedy and top-k sampling read 0.34 of the
    /// bytes.</summary>
    Screened = 4
}

/// <summary>How a session keeps the keys and values of its tokens. Each rounds otherwise, so that logits differ
/// slightly.</summary>
public enum Kv {
    /// <summary>Int16.</summary>
    Default = 0,
    /// <summary>Floats of 16 bits: slower in long contexts.</summary>
    F16 = 1,
    /// <summary>Integers of 8 bits: half the memory, quicker in long contexts, rounded more coarsely.</summary>
    Int8 = 2,
    /// <summary>Integers of 16 bits: about the memory of F16, with half its rounding error.</summary>
    Int16 = 3
}

/// <summary>How an I2_S tensor of a GGUF file lies, which the file does not say.</summary>
public enum I2sLayout {
    /// <summary>Written on an x86 CPU.</summary>
    X86 = 0,
    /// <summary>Written on an Arm CPU.</summary>
    Arm = 1
}

/// <summary>How <see cref="Model.Open(string, OpenOptions, System.Threading.CancellationToken)"/> opens a model.
/// </summary>
public sealed class OpenOptions {
    /// <summary>A kernel set of <see cref="Library.IsaNames"/>; null: the fastest.</summary>
    public string Isa { get; set; }
    /// <summary>Check every tensor's checksum, which reads the whole file.</summary>
    public bool Verify { get; set; }
    /// <summary>How the weights of a GGUF file are packed in memory.</summary>
    public Packing GgufPacking { get; set; }
    /// <summary>How the head of a GGUF file is kept in memory.</summary>
    public Head GgufHead { get; set; }
    /// <summary>How the I2_S tensors of a GGUF file lie.</summary>
    public I2sLayout GgufI2s { get; set; }
    /// <summary>Told now and then how far the work has come, on the calling thread.</summary>
    public IProgress<WorkProgress> Progress { get; set; }
    /// <summary>Told what the library chooses or notices, on any thread that uses the model.</summary>
    public Action<LogLevel, string> Log { get; set; }

    internal Native.OpenOptions ToNative() {
        var native = new Native.OpenOptions {
            verify = Verify ? 1 : 0,
            gguf_packing = (Native.bitnet_packing)GgufPacking,
            gguf_head = (Native.bitnet_head)GgufHead,
            gguf_i2s = (Native.bitnet_i2s_layout)GgufI2s
        };
        if (Isa != null) native.set_isa(Arguments.Utf8(Isa, nameof(Isa)));
        return native;
    }
}

/// <summary>How <see cref="Library.Convert"/> writes a file.</summary>
public sealed class ConvertOptions {
    /// <summary>How the weights are packed.</summary>
    public Packing Packing { get; set; }
    /// <summary>How the head is kept.</summary>
    public Head Head { get; set; }
    /// <summary>How the I2_S tensors of the GGUF file lie.</summary>
    public I2sLayout I2s { get; set; }
    /// <summary>Make weights ternary that are not. Otherwise such a file is refused.</summary>
    public bool Quantize { get; set; }
    /// <summary>1 to 19 compresses the tensors, for download; 0 leaves them to be used in place.</summary>
    public int ZstdLevel { get; set; }
    /// <summary>Told now and then how far the work has come, on the calling thread.</summary>
    public IProgress<WorkProgress> Progress { get; set; }

    internal Native.ConvertOptions ToNative() => new Native.ConvertOptions {
        packing = (Native.bitnet_packing)Packing,
        head = (Native.bitnet_head)Head,
        i2s = (Native.bitnet_i2s_layout)I2s,
        quantize = Quantize ? 1 : 0,
        zstd_level = ZstdLevel
    };
}

/// <summary>How <see cref="Model.CreateSession"/> makes a session. 0 is the default of each.</summary>
public sealed class SessionOptions {
    /// <summary>The number of tokens it can hold; by default what the model was trained for, at most 8192.</summary>
    public int Context { get; set; }
    /// <summary>The threads that compute, the calling one included; by default one per physical core.</summary>
    public int Threads { get; set; }
    /// <summary>Tokens of a prompt that are computed together; by default 256.</summary>
    public int Batch { get; set; }
    /// <summary>How keys and values are kept.</summary>
    public Kv Kv { get; set; }
    /// <summary>Of the threads, those that compute a token by itself; by default as many as turn out fastest.</summary>
    public int GenerationThreads { get; set; }

    internal Native.SessionOptions ToNative() => new Native.SessionOptions {
        context = Arguments.Count(Context, nameof(Context)),
        threads = Arguments.Count(Threads, nameof(Threads)),
        batch = Arguments.Count(Batch, nameof(Batch)),
        kv = (Native.bitnet_kv)Kv,
        generation_threads = Arguments.Count(GenerationThreads, nameof(GenerationThreads))
    };
}

/// <summary>How tokens are drawn. All of it is off by default: the most likely token each time.</summary>
public sealed class SamplerOptions {
    /// <summary>Of the random numbers.</summary>
    public ulong Seed { get; set; }
    /// <summary>Divides the logits; 0: always the most likely token.</summary>
    public float Temperature { get; set; }
    /// <summary>Keep the k most likely; 0: all.</summary>
    public int TopK { get; set; }
    /// <summary>Keep the fewest whose probabilities reach p; 0 or 1: all.</summary>
    public float TopP { get; set; }
    /// <summary>Keep those at least so many times as likely as the most likely one; 0: all.</summary>
    public float MinP { get; set; }
    /// <summary>Divides positive, multiplies negative logits of recent tokens; 0 or 1: none.</summary>
    public float RepetitionPenalty { get; set; }
    /// <summary>Subtracted once for every occurrence among the recent tokens.</summary>
    public float FrequencyPenalty { get; set; }
    /// <summary>Subtracted if the token occurs among them at all.</summary>
    public float PresencePenalty { get; set; }
    /// <summary>How many of the last tokens count as recent; 0: 64.</summary>
    public int PenaltyWindow { get; set; }
    /// <summary>Added to the logits of tokens; negative infinity forbids one.</summary>
    public IDictionary<int, float> LogitBias { get; set; } = new Dictionary<int, float>();

    internal Native.SamplerOptions ToNative() {
        var native = new Native.SamplerOptions {
            seed = Seed,
            temperature = Temperature,
            top_k = Arguments.Count(TopK, nameof(TopK)),
            top_p = TopP,
            min_p = MinP,
            repetition_penalty = RepetitionPenalty,
            frequency_penalty = FrequencyPenalty,
            presence_penalty = PresencePenalty,
            penalty_window = Arguments.Count(PenaltyWindow, nameof(PenaltyWindow))
        };
        foreach (KeyValuePair<int, float> bias in Arguments.NotNull(LogitBias, nameof(LogitBias))) {
            native.add_bias(bias.Key, bias.Value);
        }
        return native;
    }
}

/// <summary>How <see cref="Session.Generate(string, GenerateOptions, System.Threading.CancellationToken)"/> goes on.
/// </summary>
public sealed class GenerateOptions {
    /// <summary>0: until an end token or the context is full.</summary>
    public int MaxTokens { get; set; }
    /// <summary>How tokens are drawn.</summary>
    public SamplerOptions Sampling { get; set; } = new SamplerOptions();
    /// <summary>The text ends before the first of these, which is not given out.</summary>
    public ICollection<string> Stop { get; set; } = new List<string>();
    /// <summary>The prompt is the whole text from the start; what the session holds of it already is kept.</summary>
    public bool Whole { get; set; }
    /// <summary>The prompt's text may name control tokens, as chat prompts do. Never for text from strangers.</summary>
    public bool SpecialPrompt { get; set; }
    /// <summary>Write control tokens out as text.</summary>
    public bool SpecialOutput { get; set; }
    /// <summary>Go on after an end token.</summary>
    public bool IgnoreEnd { get; set; }

    internal Native.GenerateOptions ToNative(int moreFlags = 0) {
        var native = new Native.GenerateOptions {
            max_tokens = Arguments.Count(MaxTokens, nameof(MaxTokens)),
            flags = (uint)((Whole ? Native.Functions.BITNET_GENERATE_WHOLE : 0) |
                           (SpecialPrompt ? Native.Functions.BITNET_GENERATE_SPECIAL_PROMPT : 0) |
                           (SpecialOutput ? Native.Functions.BITNET_GENERATE_SPECIAL_OUTPUT : 0) |
                           (IgnoreEnd ? Native.Functions.BITNET_GENERATE_IGNORE_END : 0) | moreFlags)
        };
        using (Native.SamplerOptions sampling = Arguments.NotNull(Sampling, nameof(Sampling)).ToNative()) {
            native.set_sampler(sampling);
        }
        foreach (string text in Arguments.NotNull(Stop, nameof(Stop))) {
            native.add_stop(Arguments.Utf8(text, nameof(Stop)));
        }
        return native;
    }
}

}
