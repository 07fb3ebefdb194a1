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

/// <summary>The order of the weights in the I2_S tensors of a GGUF file. The file does not say it: it depends on the
/// CPU and the build of bitnet.cpp that wrote it.</summary>
public enum I2sLayout {
    /// <summary>Found out from the weights; X86 where they do not tell, with a warning in the log.</summary>
    Auto = 0,
    /// <summary>Written on an x86 CPU.</summary>
    X86 = 1,
    /// <summary>Written on an Arm CPU.</summary>
    Arm = 2,
    /// <summary>Written on an x86 CPU by a build without ACT_PARALLEL: a byte holds one column of four rows.</summary>
    Rows = 3
}

/// <summary>What the feed-forward network does with its gate.</summary>
public enum Activation {
    /// <summary>As the file says or its architecture means; a file that leaves it open is refused.</summary>
    Default = 0,
    /// <summary>Squared ReLU: BitNet b1.58 2B-4T.</summary>
    Relu2 = 1,
    /// <summary>SiLU: 1bitLLM's bitnet_b1_58-large and -3B.</summary>
    Silu = 2
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
    /// <summary>In place of the file's chat template: the name of a known one (see
    /// <see cref="Library.ChatTemplateNames"/>), Jinja source (whatever contains "{{" or "{%"), or else the path of a
    /// file that holds it. Null: the file's own, or the right one where the file's is a known mistake.</summary>
    public string ChatTemplate { get; set; }
    /// <summary>For files that do not name it.</summary>
    public Activation Activation { get; set; }
    /// <summary>Told now and then how far the work has come, on the calling thread.</summary>
    public IProgress<WorkProgress> Progress { get; set; }
    /// <summary>Told what the library chooses or notices, on any thread that uses the model.</summary>
    public Action<LogLevel, string> Log { get; set; }

    internal Native.OpenOptions ToNative() {
        var native = new Native.OpenOptions {
            verify = Verify ? 1 : 0,
            gguf_packing = (Native.bitnet_packing)Arguments.Defined(GgufPacking, nameof(GgufPacking)),
            gguf_head = (Native.bitnet_head)Arguments.Defined(GgufHead, nameof(GgufHead)),
            gguf_i2s = (Native.bitnet_i2s_layout)Arguments.Defined(GgufI2s, nameof(GgufI2s)),
            activation = (Native.bitnet_activation)Arguments.Defined(Activation, nameof(Activation))
        };
        if (Isa != null) native.set_isa(Arguments.Utf8(Isa, nameof(Isa)));
        if (ChatTemplate != null) native.set_chat_template(Arguments.Utf8(ChatTemplate, nameof(ChatTemplate)));
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
    /// <summary>Stored in place of the input's chat template; as <see cref="OpenOptions.ChatTemplate"/>.</summary>
    public string ChatTemplate { get; set; }
    /// <summary>Stored where the input does not name it.</summary>
    public Activation Activation { get; set; }
    /// <summary>Told now and then how far the work has come, on the calling thread.</summary>
    public IProgress<WorkProgress> Progress { get; set; }
    /// <summary>Told what the library chooses or notices.</summary>
    public Action<LogLevel, string> Log { get; set; }

    internal Native.ConvertOptions ToNative() {
        var native = new Native.ConvertOptions {
            packing = (Native.bitnet_packing)Arguments.Defined(Packing, nameof(Packing)),
            head = (Native.bitnet_head)Arguments.Defined(Head, nameof(Head)),
            i2s = (Native.bitnet_i2s_layout)Arguments.Defined(I2s, nameof(I2s)),
            quantize = Quantize ? 1 : 0,
            zstd_level = ZstdLevel,
            activation = (Native.bitnet_activation)Arguments.Defined(Activation, nameof(Activation))
        };
        if (ChatTemplate != null) native.set_chat_template(Arguments.Utf8(ChatTemplate, nameof(ChatTemplate)));
        return native;
    }
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
        kv = (Native.bitnet_kv)Arguments.Defined(Kv, nameof(Kv)),
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
    /// <summary>Added to the logits of tokens; negative infinity forbids one. Null: none.</summary>
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
        if (LogitBias == null) return native;
        foreach (KeyValuePair<int, float> bias in LogitBias) native.add_bias(bias.Key, bias.Value);
        return native;
    }
}

/// <summary>How <see cref="Session.Generate(string, GenerateOptions, System.Threading.CancellationToken)"/> goes on.
/// </summary>
public sealed class GenerateOptions {
    /// <summary>0: until an end token or the context is full.</summary>
    public int MaxTokens { get; set; }
    /// <summary>How tokens are drawn. Null: the most likely one each time.</summary>
    public SamplerOptions Sampling { get; set; } = new SamplerOptions();
    /// <summary>The text ends before the first of these, which is not given out. Null: none.</summary>
    public ICollection<string> Stop { get; set; } = new List<string>();
    /// <summary>The prompt is the whole text from the start; what the session holds of it already is kept.</summary>
    public bool Whole { get; set; }
    /// <summary>The prompt's text may name control tokens. Never for text from strangers.</summary>
    public bool SpecialPrompt { get; set; }
    /// <summary>Of <see cref="Session.Chat"/>: control tokens spelt out in contents are those tokens. Never for text
    /// from strangers, who could then speak for others.</summary>
    public bool Trust { get; set; }
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
        using (Native.SamplerOptions sampling = (Sampling ?? new SamplerOptions()).ToNative()) {
            native.set_sampler(sampling);
        }
        int i = 0;
        foreach (string text in Stop ?? new string[0]) {
            native.add_stop(Arguments.Utf8(text, nameof(Stop) + "[" + i++ + "]"));
        }
        return native;
    }
}

}
