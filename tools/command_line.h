// The command line of a program: one table of options, which getopt_long(3) parses and --help
// prints in the format of GNU programs. For the main thread, before it does anything else.
#pragma once

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace uaio::tools {

struct Program {
    const char* name;
    std::string_view introduction;  // of --help, up to the options
    std::string_view closing;       // of --help, after the options
};

// Traits of an option's value.
inline constexpr unsigned kMayBeEmpty = 1;  // else an empty value is rejected
inline constexpr unsigned kSecret = 2;      // overwritten after it is read

template <class Arguments>
struct Option {
    const char* name;        // without its dashes
    char letter;             // another name, or 0
    std::string_view value;  // the name of its value; empty: it takes none
    std::string_view help;   // lines
    void (*set)(Arguments& to, std::string_view value);  // copies what it keeps
    unsigned traits = 0;
};

[[noreturn]] inline void refuse(const char* program, const std::string& why) {
    std::fprintf(stderr, "%s: %s\nTry '%s --help' for more information.\n", program, why.c_str(),
                 program);
    std::exit(2);
}

// Occupies closed standard descriptors, so that no file opened later takes their place. The
// occupant is read-only: input is empty and output fails, as in gnulib's stdopen.c.
inline void open_standard_descriptors() {
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = ::open("/dev/null", O_RDONLY);
    if (fd > STDERR_FILENO) ::close(fd);
}

// Hides an argument: other users can read a program's arguments (proc(5), cmdline).
inline void overwrite(char* begin, std::size_t size) { std::memset(begin, '*', size); }

// Ends the program after --help or --version; with status 1 if standard output failed.
[[noreturn]] inline void end_after_text(const char* program) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) std::exit(0);
    std::fprintf(stderr, "%s: standard output: %s\n", program, std::strerror(errno));
    std::exit(1);
}

inline void print_option(std::string line, std::string_view help) {
    constexpr std::size_t kColumn = 24;
    if (line.size() + 2 > kColumn) line += '\n';
    line.append(line.back() == '\n' ? kColumn : kColumn - line.size(), ' ');
    for (const char byte : help) {
        line += byte;
        if (byte == '\n') line.append(kColumn, ' ');
    }
    std::printf("%s\n", line.c_str());
}

template <class Arguments>
[[noreturn]] void print_help(const Program& program, std::span<const Option<Arguments>> options) {
    std::fwrite(program.introduction.data(), 1, program.introduction.size(), stdout);
    for (const Option<Arguments>& option : options) {
        std::string line = "  ";
        if (option.letter != 0) line.append({'-', option.letter, ',', ' '});
        line.append("--").append(option.name);
        if (!option.value.empty()) line.append("=").append(option.value);
        print_option(std::move(line), option.help);
    }
    print_option("  -h, --help", "this text");
    print_option("  --version", "the version");
    std::fwrite(program.closing.data(), 1, program.closing.size(), stdout);
    end_after_text(program.name);
}

inline constexpr int kHelp = 'h';
inline constexpr int kVersion = -2;
inline constexpr int kFirst = 256;  // the table's first entry; smaller codes are letters

template <class Arguments>
struct OptionNames {
    explicit OptionNames(std::span<const Option<Arguments>> options) {
        int code = kFirst;
        for (const Option<Arguments>& option : options) {
            const bool takes = !option.value.empty();
            names.push_back(
                {option.name, takes ? required_argument : no_argument, nullptr, code++});
            if (option.letter == 0) continue;
            letters += option.letter;
            if (takes) letters += ':';
        }
        names.push_back({"help", no_argument, nullptr, kHelp});
        names.push_back({"version", no_argument, nullptr, kVersion});
        names.push_back({});
    }

    std::string letters = ":h";  // the colon distinguishes a missing value from an unknown option
    std::vector<::option> names;
};

// Replaces getopt_long's own messages, which quote a value after an equals sign and thus a proxy's
// password. `got` is ':' or '?', `word` the last argument read.
template <class Arguments>
[[noreturn]] void refuse_option(const char* program, const OptionNames<Arguments>& known, int got,
                                std::string_view word) {
    const std::string letter = {'\'', static_cast<char>(optopt), '\''};
    if (optopt > 0 && optopt < kFirst && (optopt != kHelp || got == ':')) {
        if (got == ':') refuse(program, "option requires an argument -- " + letter);
        refuse(program, "invalid option -- " + letter);
    }
    word = word.substr(0, word.find('='));
    const std::string name = "option '" + std::string(word) + "'";
    if (got == ':') refuse(program, name + " requires an argument");
    if (optopt != 0) refuse(program, name + " does not allow an argument");
    int alike = 0;
    for (const ::option& one : known.names)
        alike += one.name && ("--" + std::string(one.name)).starts_with(word) ? 1 : 0;
    refuse(program, alike > 1 ? name + " is ambiguous" : "unrecognized " + name);
}

template <class Arguments>
void set(const Program& program, const Option<Arguments>& option, Arguments& to, char* value) {
    if (option.value.empty()) return option.set(to, {});
    const std::string_view text = value;
    if (text.empty() && (option.traits & kMayBeEmpty) == 0) {
        refuse(program.name,
               "the argument of option '--" + std::string(option.name) + "' is empty");
    }
    option.set(to, text);
    if ((option.traits & kSecret) != 0) overwrite(value, text.size());
}

// Sets the options in `to` and returns the operands. Does not return after --help, --version or an
// invalid command line.
template <class Arguments>
std::span<char*> parse(const Program& program, std::span<const Option<Arguments>> options,
                       Arguments& to, int argc, char** argv) {
    open_standard_descriptors();
    const OptionNames<Arguments> known(options);
    for (;;) {
        const int got =
            ::getopt_long(argc, argv, known.letters.c_str(), known.names.data(), nullptr);
        if (got == -1) break;
        if (got == '?' || got == ':') {
            refuse_option(program.name, known, got, argv[optind - 1]);
        }
        if (got == kHelp) print_help(program, options);
        if (got == kVersion) {
            std::printf("%s (uaio) %s\n", program.name, UAIO_VERSION);
            end_after_text(program.name);
        }
        for (std::size_t i = 0; i < options.size(); ++i) {
            if (got != options[i].letter && got != kFirst + static_cast<int>(i)) continue;
            set(program, options[i], to, optarg);
            break;
        }
    }
    return {argv + optind, argv + argc};
}

}  // namespace uaio::tools
