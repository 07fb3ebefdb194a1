# SPDX-License-Identifier: MIT
# A formula for a tap: brew install --HEAD ./packaging/homebrew/libbitnet.rb
# With a release, url and sha256 of its archive belong above `license`.
class Libbitnet < Formula
  desc "Run 1.58-bit (ternary) language models on a CPU, inside your program"
  homepage "https://github.com/libbitnet/libbitnet"
  license all_of: ["MIT", "Unicode-DFS-2016"]
  head "https://github.com/libbitnet/libbitnet.git", branch: "main"

  depends_on "cli11" => :build
  depends_on "cmake" => :build
  depends_on "flatbuffers" => :build
  depends_on "ninja" => :build
  depends_on "nlohmann-json" => :build
  depends_on "pkgconf" => [:build, :test]
  depends_on "pcre2"
  depends_on "utf8proc"
  depends_on "xxhash"
  depends_on "zstd"

  def install
    system "cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DBITNET_BUILD_TESTS=OFF", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
    pkgshare.install "examples/c"
  end

  test do
    model = share/"bitnet/models/austen.bitnet"
    prompt = "It was a fine morning, and"
    assert_match(/^bitnet \d/, shell_output("#{bin}/bitnet --version"))
    assert_operator shell_output("#{bin}/bitnet run -p '#{prompt}' -n 40 --seed 1 < /dev/null").split.length, :>, 10

    flags = shell_output("pkgconf --cflags --libs bitnet").split
    system ENV.cc, pkgshare/"c/hello.c", "-o", "hello", *flags
    assert_operator shell_output("./hello #{model} '#{prompt}'").split.length, :>, 20
    assert_match "absent.bitnet", shell_output("./hello absent.bitnet '#{prompt}' 2>&1", 1)
  end
end
