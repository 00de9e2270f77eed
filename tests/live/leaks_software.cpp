// SPDX-License-Identifier: GPL-2.0-or-later
// Software that people run, as Debian packages it: while it lives nothing of it is called leaked,
// and when it is killed exactly what it leaves is found. Each runs as an instance of its own, with
// its data below a /tmp of its own, in IPC and mount namespaces where there is nothing else.
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/live/leaks_verdicts.h"
#include "tests/live/main.h"
#include "tests/live/program.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;
using ipcscope::Fd;

namespace {

using Command = std::vector<std::string>;

constexpr const char* queue_directory = "/run/mqueue";

/// Namespaces of IPC and mounts, with an own /dev/shm, /run and /tmp.
class Place {
 public:
  Place()
      : holder_({"unshare", "--ipc", "--mount", "--propagation", "private", "sh", "-ec", script,
                 std::filesystem::path(IPCSCOPE_PROGRAM).parent_path()}) {
    if (holder_.read_line(Seconds(10)) != "ready") {
      holder_.read_all(Seconds(1));
      throw std::runtime_error("no namespaces: " + holder_.errors());
    }
  }

  /// The command that runs another in here.
  [[nodiscard]] Command enter(const Command& command = {}) const {
    Command words = {"nsenter", "--target", std::to_string(holder_.pid()),
                     "--ipc",   "--mount",  "--"};
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

  /// The same as another user.
  [[nodiscard]] Command enter_as(const std::string& user, const Command& command) const {
    Command words = enter({"setpriv", "--reuid", user, "--regid", user, "--clear-groups"});
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

  /// Runs a shell command in here to its end.
  [[nodiscard]] std::string shell(const std::string& text) const {
    const Outcome outcome = run(enter({"sh", "-ec", text}), Seconds(60));
    INFO(text << ": " << outcome.errors);
    REQUIRE(outcome.status == 0);
    return outcome.output;
  }

  [[nodiscard]] Document leaks(const std::string& min_age = "0") const {
    return run_leaks({}, enter(), min_age);
  }

 private:
  /// The program may be below /tmp: it has to stay where it is.
  static constexpr const char* script = R"(
exec 3<"$0"
for directory in /dev/shm /run /tmp; do
  mount -t tmpfs -o mode=1777 ipcscope-test $directory
done
if [ ! -d "$0" ]; then
  mkdir -p "$0"
  mount --no-canonicalize --bind /proc/self/fd/3 "$0"
fi
mkdir /run/mqueue
mount -t mqueue ipcscope-test /run/mqueue
echo ready
exec cat)";

  Program holder_;
};

/// The identifiers of all objects that the kernel has in a place, and those among them whose
/// creator it does not tell from others that live.
struct Inventory {
  std::set<std::string> ids;
  std::set<std::string> untraceable;
};

Inventory inventory(const Place& place) {
  Inventory result;
  // Columns of /proc/sysvipc: the identifier is the second in all three.
  const auto add = [&](const char* kind, std::optional<size_t> creator_uid) {
    std::istringstream lines(place.shell(fmt::format("cat /proc/sysvipc/{}", kind)));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::vector<std::string> fields;
      for (std::string word; words >> word;) {
        fields.push_back(word);
      }
      const std::string id = fmt::format("{}:{}", kind, fields.at(1));
      result.ids.insert(id);
      // Some process of root always lives.
      if (creator_uid && fields.at(*creator_uid) == "0") {
        result.untraceable.insert(id);
      }
    }
  };
  add("shm", std::nullopt);
  add("sem", 6);
  add("msg", 9);
  const auto add_files = [&](const char* directory, const char* kind) {
    std::istringstream names(place.shell(fmt::format("ls {}", directory)));
    for (std::string name; std::getline(names, name);) {
      const bool semaphore = std::string_view(kind) == "posixshm" && name.starts_with("sem.");
      result.ids.insert(semaphore ? "posixsem:/" + name.substr(4)
                                  : fmt::format("{}:/{}", kind, name));
    }
  };
  add_files("/dev/shm", "posixshm");
  add_files(queue_directory, "mq");
  return result;
}

/// A process and all below it.
std::vector<pid_t> family_of(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    std::ifstream file(entry.path() / "stat");
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (const size_t end = line.rfind(')'); end != std::string::npos) {
      children.emplace(std::stoi(line.substr(end + 4)), std::stoi(name));
    }
  }
  std::vector<pid_t> family = {root};
  for (size_t i = 0; i < family.size(); i++) {
    const auto [begin, end] = children.equal_range(family[i]);
    std::for_each(begin, end, [&](const auto& each) { family.push_back(each.second); });
  }
  return family;
}

/// Sends a signal to a process and all below it, again while new ones appear.
std::vector<Fd> signal_family(pid_t root, int signal) {
  std::vector<Fd> handles;
  std::set<pid_t> done;
  for (int round = 0; round < 3; round++) {
    for (const pid_t pid : family_of(root)) {
      if (!done.insert(pid).second) {
        continue;
      }
      Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
      if (handle) {
        ::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0);
        handles.push_back(std::move(handle));
      }
    }
  }
  return handles;
}

/// Kills a program and all below it with SIGKILL, none of which can clean up, and waits for the
/// last.
void kill_family(Program& program) {
  // Stopped first, or those that see their parent die would tidy up.
  std::vector<Fd> handles = signal_family(program.pid(), SIGSTOP);
  for (const Fd& handle : handles) {
    ::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
  }
  for (const Fd& handle : handles) {
    pollfd ended = {handle.get(), POLLIN, 0};
    REQUIRE(::poll(&ended, 1, 10'000) == 1);
  }
  REQUIRE(program.wait(Seconds(5)) == 128 + SIGKILL);
}

/// httpd that is asked to end tells its whole process group to, which is the test's: where the test
/// fails it must not be asked.
struct KilledAtEnd {
  explicit KilledAtEnd(Program& killed) : program(killed) {}
  KilledAtEnd(const KilledAtEnd&) = delete;
  KilledAtEnd& operator=(const KilledAtEnd&) = delete;
  ~KilledAtEnd() {
    if (!program.wait(Seconds(0))) {
      signal_family(program.pid(), SIGKILL);
    }
  }
  Program& program;
};

/// Whatever is judged belongs to the software, and that lives.
void check_living(const Place& place, const std::string& when, const std::string& min_age = "0") {
  const Document output = place.leaks(min_age);
  for (const std::string& id : ids_of(output, "leaked")) {
    FAIL_CHECK(when << ": " << print(find_leak(output, id), 2000));
  }
}

void sample_living(const Place& place, const std::string& when, int times,
                   const std::string& min_age = "0") {
  for (int i = 0; i < times; i++) {
    check_living(place, when, min_age);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

/// What the kernel still has is called leaked, and nothing else. Where it does not tell who made
/// it, a suspicion is all that is right.
void check_dead(const Place& place, bool leaves_something) {
  const Inventory left = inventory(place);
  const Document output = place.leaks();
  CHECK(left.ids.size() >= (leaves_something ? 1 : 0));
  fmt::print("left behind: {}\n", fmt::join(left.ids, " "));
  constexpr std::string_view segment = "posixshm:";
  for (const std::string& id : left.ids) {
    // Killed before it gave a segment its size, it has left an empty file.
    if (id.starts_with(segment) &&
        !find_leak(output, "file:/dev/shm" + id.substr(segment.size())).IsNull()) {
      continue;
    }
    const std::string_view verdict = text_of(member(find_leak(output, id), "verdict"));
    if (verdict != (left.untraceable.count(id) == 1 ? "suspect" : "leaked")) {
      FAIL_CHECK(id << ": " << print(find_leak(output, id), 2000));
    }
  }
  for (const std::string& id : ids_of(output, "leaked")) {
    // Paths of sockets are no kernel objects, and are judged on their own.
    if (left.ids.count(id) == 0 && !id.starts_with("unix:")) {
      FAIL_CHECK("nothing such is there: " << print(find_leak(output, id), 2000));
    }
  }
}

/// A place for a program of a package; says so where that is not installed.
bool is_installed(const std::string& program, const std::string& package) {
  if (std::filesystem::exists(program)) {
    return true;
  }
  tell_impossible(fmt::format("no {}: install the package {}", program, package));
  CHECK_FALSE(in_ci());
  return false;
}

/// Debian has a directory for each version.
std::string postgresql_directory() {
  std::error_code error;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    if (std::filesystem::exists(version.path() / "bin/postgres")) {
      return (version.path() / "bin").string();
    }
  }
  return "/usr/lib/postgresql";
}

template <typename Condition>
void await(const std::string& what, Condition condition) {
  for (int i = 0; i < 300; i++) {
    if (condition()) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  FAIL("waited in vain for " << what);
}

/// One life of a database, from its start to its violent end.
void run_postgresql(const Place& place, const std::string& directory, const Command& settings) {
  Command command = {
      directory + "/postgres",        "-D", "/tmp/data", "-c", "listen_addresses=", "-c",
      "unix_socket_directories=/tmp", "-c", "fsync=off"};
  for (const std::string& setting : settings) {
    command.insert(command.end(), {"-c", setting});
  }
  Program server(place.enter_as("postgres", command));
  await("the database", [&] {
    return run(place.enter_as("postgres", {directory + "/pg_isready", "-q", "-h", "/tmp"}))
               .status == 0;
  });
  CHECK_FALSE(inventory(place).ids.empty());
  sample_living(place, "idle", 3);

  const Outcome filled = run(
      place.enter_as("postgres", {directory + "/pgbench", "-i", "-q", "-h", "/tmp", "postgres"}),
      Seconds(60));
  INFO(filled.errors);
  REQUIRE(filled.status == 0);
  Program load(place.enter_as(
      "postgres", {directory + "/pgbench", "-c", "4", "-T", "60", "-n", "-h", "/tmp", "postgres"}));
  sample_living(place, "busy", 8);
  kill_family(server);
  check_dead(place, true);
}

/// A port that was free a moment ago.
int free_port() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

/// Two listeners, or the processes would need no mutex to take turns in accepting.
constexpr const char* apache_configuration = R"(
ServerRoot /tmp/apache
ServerName localhost
DefaultRuntimeDir /tmp/apache
PidFile /tmp/apache/httpd.pid
ErrorLog /tmp/apache/error.log
DocumentRoot /tmp/apache/www
Mutex sysvsem default
Listen 127.0.0.1:{}
Listen 127.0.0.1:{}
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User www-data
Group www-data
StartServers 3
)";

}  // namespace

TEST_CASE("leaks and PostgreSQL") {
  const std::string directory = postgresql_directory();
  if (!is_installed(directory + "/postgres", "postgresql")) {
    return;
  }
  const Place place;
  const Outcome made = run(place.enter_as("postgres", {directory + "/initdb", "-D", "/tmp/data",
                                                       "-N", "-A", "trust", "--locale=C"}),
                           Seconds(90));
  INFO(made.errors);
  REQUIRE(made.status == 0);
  SECTION("with its defaults") { run_postgresql(place, directory, {}); }
  SECTION("with System V memory") {
    run_postgresql(place, directory,
                   {"shared_memory_type=sysv", "dynamic_shared_memory_type=sysv"});
  }
}

TEST_CASE("leaks and Apache httpd") {
  if (!is_installed("/usr/sbin/apache2", "apache2-bin") ||
      !is_installed("/usr/bin/ab", "apache2-utils")) {
    return;
  }
  const Place place;
  const int port = free_port();
  const std::string configuration = fmt::format(apache_configuration, port, free_port());
  (void)place.shell(
      fmt::format("mkdir -p /tmp/apache/www\necho hello >/tmp/apache/www/index.html\n"
                  "cat >/tmp/apache/httpd.conf <<'END'\n{}\nEND",
                  configuration));
  Program httpd(
      place.enter({"/usr/sbin/apache2", "-D", "FOREGROUND", "-f", "/tmp/apache/httpd.conf"}));
  const KilledAtEnd no_farewell{httpd};
  await("a semaphore set of the server",
        [&] { return !inventory(place).ids.empty() && family_of(httpd.pid()).size() > 3; });
  sample_living(place, "idle", 3);
  const std::string url = fmt::format("http://127.0.0.1:{}/index.html", port);
  Program load(place.enter({"ab", "-q", "-t", "60", "-n", "10000000", "-c", "4", url}));
  sample_living(place, "busy", 8);
  kill_family(httpd);
  check_dead(place, true);
}

TEST_CASE("leaks and stress-ng") {
  if (!is_installed("/usr/bin/stress-ng", "stress-ng")) {
    return;
  }
  const std::string stressor = GENERATE("shm-sysv", "sem-sysv", "msg", "mq", "shm", "sem");
  INFO(stressor);
  const Place place;
  // As a user that nothing else is, so that the creators of sets and queues are known to have
  // ended.
  Program stress(place.enter_as("61237", {"/usr/bin/stress-ng", "--" + stressor, "2", "--timeout",
                                          "60", "--temp-path", "/tmp"}));
  // Unnamed semaphores have no name to leave behind.
  const bool leaves_something = stressor != "sem";
  if (leaves_something) {
    await("an object", [&] { return !inventory(place).ids.empty(); });
  } else {
    await("the stressors", [&] { return family_of(stress.pid()).size() > 2; });
  }
  // The shm stressor unmaps all its objects before it removes their names. Nothing but their age
  // tells those from what a dead process left.
  const std::string min_age = stressor == "shm" ? "10m" : "0";
  sample_living(place, "busy", 5, min_age);
  signal_family(stress.pid(), SIGSTOP);
  check_living(place, "idle", min_age);
  signal_family(stress.pid(), SIGCONT);
  kill_family(stress);
  // What was made only now is suspect.
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  // What it makes and removes in a loop may be gone in this instant.
  check_dead(place, false);
}
