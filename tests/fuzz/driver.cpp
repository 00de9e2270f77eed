// SPDX-License-Identifier: GPL-2.0-or-later
/// Feeds mutations of known inputs to parsers. Deterministic for one --seed, bounded by --mutations
/// and --seconds; what is wrong is found by the sanitizers (preset asan) or a crash, and the input
/// that was last tried can then be had again with the same arguments and --verbose.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "tests/fuzz/driver.h"

namespace ipcscope::fuzz {

namespace {

struct Options {
  unsigned long mutations = 20000;
  double seconds = 60;
  unsigned long seed = 1;
  bool verbose = false;
  std::vector<std::string_view> names;
};

class Mutator {
 public:
  explicit Mutator(unsigned long seed) : random_(seed) {}

  std::string mutate(const std::vector<std::string_view>& seeds) {
    std::string text(seeds[below(seeds.size())]);
    for (size_t rounds = 1 + below(6); rounds > 0; rounds--) {
      change(text, seeds);
    }
    return text;
  }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void change(std::string& text, const std::vector<std::string_view>& seeds) {
    static constexpr std::string_view pieces[] = {
        "18446744073709551615",
        "18446744073709551616",
        "-1",
        "0x",
        "4294967296",
        "\n",
        ":",
        "\t",
        " ",
        "(",
        ")",
        "[",
        "]",
        "ffffffffffffffffff",
        "-9223372036854775808",
        "->",
        "EOF",
        "0.",
        std::string_view("\0", 1),
        std::string_view("\xff\xff\xff\xff", 4),
    };
    const size_t at = below(text.size() + 1);
    switch (below(7)) {
      case 0:  // cut off
        text.resize(at);
        break;
      case 1:  // lose some
        text.erase(at, below(16));
        break;
      case 2:  // another byte
        if (at < text.size()) {
          text[at] = static_cast<char>(below(256));
        }
        break;
      case 3:  // one bit
        if (at < text.size()) {
          text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        }
        break;
      case 4:  // something that hurts
        text.insert(at, pieces[below(std::size(pieces))]);
        break;
      case 5:  // part of itself again
        text.insert(at, text.substr(below(text.size() + 1), below(64)));
        break;
      default: {  // part of another
        const std::string_view other = seeds[below(seeds.size())];
        const size_t from = below(other.size() + 1);
        text.insert(at, std::string(other.substr(from, below(64))));
      }
    }
    if (text.size() > size_t{64} << 10) {
      text.resize(size_t{64} << 10);
    }
  }

  std::mt19937_64 random_;
};

void run_exact(const Target& target, const std::string& text) {
  // In memory of exactly this size, so that reading one byte too many is seen.
  const std::unique_ptr<char[]> copy(new char[text.size()]);
  std::memcpy(copy.get(), text.data(), text.size());
  target.run({copy.get(), text.size()});
}

unsigned long fuzz(const Target& target, const Options& options) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  Mutator mutator(options.seed);
  for (const std::string_view seed : target.seeds) {
    run_exact(target, std::string(seed));
  }
  unsigned long done = 0;
  for (; done < options.mutations; done++) {
    if (done % 256 == 0 && std::chrono::steady_clock::now() > end) {
      break;
    }
    const std::string text = mutator.mutate(target.seeds);
    if (options.verbose) {
      std::fprintf(stderr, "%lu:", done);
      for (const char byte : text) {
        std::fprintf(stderr, " %02x", static_cast<unsigned char>(byte));
      }
      std::fputc('\n', stderr);
    }
    run_exact(target, text);
  }
  return done;
}

int run(const Options& options) {
  size_t ran = 0;
  for (const Target& target : targets()) {
    bool wanted = options.names.empty();
    for (const std::string_view name : options.names) {
      wanted |= name == target.name;
    }
    if (wanted) {
      const unsigned long done = fuzz(target, options);
      std::printf("%.*s: %lu mutations\n", static_cast<int>(target.name.size()), target.name.data(),
                  done);
      ran++;
    }
  }
  if (ran == 0 || ran < options.names.size()) {
    std::fputs("no such target\n", stderr);
    return 2;
  }
  return 0;
}

}  // namespace

}  // namespace ipcscope::fuzz

int main(int argc, char** argv) {
  ipcscope::fuzz::Options options;
  for (int i = 1; i < argc; i++) {
    const std::string_view word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--verbose") {
      options.verbose = true;
    } else if (word == "--mutations") {
      options.mutations = std::strtoul(value, nullptr, 10);
      i++;
    } else if (word == "--seconds") {
      options.seconds = std::strtod(value, nullptr);
      i++;
    } else if (word == "--seed") {
      options.seed = std::strtoul(value, nullptr, 10);
      i++;
    } else {
      options.names.push_back(word);
    }
  }
  return ipcscope::fuzz::run(options);
}
