// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/instances.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "collectors/base/parse.h"
#include "collectors/leftovers/lock_file.h"
#include "collectors/leftovers/mount_points.h"
#include "collectors/leftovers/path_walk.h"

namespace ipcscope {

namespace {

constexpr size_t file_limit = 64U << 10;

/// A small regular file; nothing when it is none or may not be read.
std::optional<std::string> read_file(int directory, const char* path) {
  const Fd file(
      ::openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  std::string text(file_limit, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  if (got < 0) {
    return std::nullopt;
  }
  text.resize(static_cast<size_t>(got));
  return text;
}

std::vector<std::string> names_in(const Fd& directory) {
  std::vector<std::string> names;
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy >= 0 ? ::fdopendir(copy) : nullptr,
                                                   ::closedir);
  while (const dirent* entry = stream ? ::readdir(stream.get()) : nullptr) {
    if (entry->d_name[0] != '.') {
      names.emplace_back(entry->d_name);
    }
  }
  return names;
}

/// What all four need while they look.
class Search {
 public:
  Search(const Snapshot& snapshot, const ProcRoot& proc, const std::string& root,
         Leftovers& leftovers)
      : snapshot_(snapshot),
        proc_(proc),
        is_host_(root.empty()),
        root_(::open(is_host_ ? "/" : root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
        leftovers_(leftovers) {
    const Result<std::string> text = proc.read(std::string("self/mountinfo"));
    mounts_.emplace(text ? *text : std::string());
  }

  void postgres();
  void apache();
  void oracle();
  void sap();

 private:
  /// A directory of the host, when it is on a local file system and no link leads there.
  [[nodiscard]] Fd directory(const std::string& path) const {
    return is_host_ && mounts_->holder(path, true) == nullptr ? Fd() : step_down(root_, path);
  }
  [[nodiscard]] std::optional<std::string> read(const std::string& path) const {
    const size_t slash = path.rfind('/');
    const Fd parent = directory(path.substr(0, slash));
    return parent ? read_file(parent.get(), path.c_str() + slash + 1) : std::nullopt;
  }
  [[nodiscard]] std::vector<std::string> list(const std::string& path) const {
    const Fd found = directory(path);
    return found ? names_in(found) : std::vector<std::string>();
  }

  /// Whether a process is one of these names. One that only waits to be collected runs nothing.
  [[nodiscard]] bool is_one(const Process& process,
                            std::initializer_list<std::string_view> names) const {
    return !snapshot_.has_ended(process) &&
           std::find(names.begin(), names.end(), process.command()) != names.end();
  }
  /// Whether pid is a process of one of these names; nothing when it cannot be looked at.
  [[nodiscard]] std::optional<bool> runs(int32_t pid,
                                         std::initializer_list<std::string_view> names) const {
    if (const Process* process = snapshot_.process(pid)) {
      return is_one(*process, names);
    }
    return ::kill(pid, 0) != 0 && errno == ESRCH ? std::optional<bool>(false) : std::nullopt;
  }
  /// Of a program of which no process was found: it may be one of those that were not seen.
  [[nodiscard]] std::optional<bool> not_found() const {
    return leftovers_.unseen.empty() && !leftovers_.processes_outside ? std::optional<bool>(false)
                                                                      : std::nullopt;
  }
  /// Processes of one of these names whose parent has none of them.
  template <typename Each>
  void for_each_main(std::initializer_list<std::string_view> names, Each&& each) const {
    for (const Process& process : snapshot_.processes) {
      const Process* parent = snapshot_.process(process.ppid);
      if (is_one(process, names) && (parent == nullptr || !is_one(*parent, names))) {
        each(process);
      }
    }
  }
  [[nodiscard]] std::vector<std::string> command_line(int32_t pid) const {
    std::vector<std::string> words;
    const Result<std::string> text = proc_.read(fmt::format("{}/cmdline", pid));
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\0'), rest.size());
      words.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return words;
  }
  [[nodiscard]] bool has(std::string_view software, std::string_view name) const {
    return std::any_of(
        leftovers_.instances.begin(), leftovers_.instances.end(),
        [&](const Instance& each) { return each.software == software && each.name == name; });
  }
  void running_postgres(const Process& process);
  void postgres_directory(const std::string& directory);
  void httpd_file(const std::string& path, const std::string& directory);

  const Snapshot& snapshot_;
  const ProcRoot& proc_;
  bool is_host_;
  Fd root_;
  Leftovers& leftovers_;
  std::optional<MountPoints> mounts_;
};

constexpr const char* postgresql = "PostgreSQL";
constexpr const char* apache_httpd = "Apache httpd";
constexpr const char* oracle_database = "Oracle";
constexpr const char* sap_system = "SAP";

/// A server stays in its data directory (ChangeToDataDir in src/backend/utils/init/miscinit.c).
void Search::running_postgres(const Process& process) {
  Instance instance;
  instance.software = postgresql;
  instance.pid = process.pid;
  instance.alive = true;
  const std::string cwd = fmt::format("{}/cwd", process.pid);
  if (const Result<std::string> link = proc_.link(cwd.c_str())) {
    instance.name = *link;
  }
  // Its mounts, since it may live in a container.
  const Result<std::string> text = proc_.read(fmt::format("{}/mountinfo", process.pid));
  const MountPoints mounts(text ? *text : std::string());
  if (!instance.name.empty() && (!is_host_ || mounts.holder(instance.name, false) != nullptr)) {
    const Fd directory(::openat(proc_.descriptor(), cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto file = directory ? read_file(directory.get(), "postmaster.pid") : std::nullopt;
    const auto parsed = file ? parse_postmaster(*file) : std::nullopt;
    if (parsed && (parsed->pid == process.ns_pid || parsed->pid == process.pid)) {
      instance.key = parsed->key;
      instance.shm_id = parsed->shm_id;
    }
  }
  leftovers_.instances.push_back(std::move(instance));
}

void Search::postgres_directory(const std::string& directory) {
  const auto text = read(directory + "/postmaster.pid");
  const auto file = text ? parse_postmaster(*text) : std::nullopt;
  if (!file) {
    return;
  }
  Instance instance;
  instance.software = postgresql;
  instance.name = file->directory.empty() ? directory : file->directory;
  if (has(postgresql, instance.name) || has(postgresql, directory)) {
    return;
  }
  instance.pid = file->pid;
  instance.alive = runs(file->pid, {"postgres", "postmaster"});
  instance.key = file->key;
  instance.shm_id = file->shm_id;
  leftovers_.instances.push_back(std::move(instance));
}

void Search::postgres() {
  for_each_main({"postgres", "postmaster"},
                [&](const Process& process) { running_postgres(process); });
  // Where Debian and Red Hat put the data: /var/lib/postgresql/VERSION/CLUSTER,
  // /var/lib/pgsql[/VERSION]/data.
  for (const std::string& version : list("/var/lib/postgresql")) {
    for (const std::string& cluster : list("/var/lib/postgresql/" + version)) {
      postgres_directory(fmt::format("/var/lib/postgresql/{}/{}", version, cluster));
    }
  }
  for (const std::string& version : list("/var/lib/pgsql")) {
    postgres_directory(fmt::format("/var/lib/pgsql/{}/data", version));
  }
  postgres_directory("/var/lib/pgsql/data");
}

/// The file of the directive PidFile (httpd's documentation, mod/mpm_common): a number.
void Search::httpd_file(const std::string& path, const std::string& directory) {
  const auto text = read(path);
  const int32_t pid = text ? parse_lock_pid(*text) : 0;
  if (pid == 0) {
    return;
  }
  for (Instance& each : leftovers_.instances) {
    if (each.software == apache_httpd && each.pid == pid) {
      each.name = directory;
      return;
    }
  }
  Instance instance;
  instance.software = apache_httpd;
  instance.name = directory;
  instance.pid = pid;
  instance.alive = runs(pid, {"apache2", "httpd"});
  leftovers_.instances.push_back(std::move(instance));
}

void Search::apache() {
  for_each_main({"apache2", "httpd"}, [&](const Process& process) {
    Instance instance;
    instance.software = apache_httpd;
    instance.name = fmt::format("process {}", process.pid);
    instance.pid = process.pid;
    instance.alive = true;
    leftovers_.instances.push_back(std::move(instance));
  });
  // Debian: /run/apache2[-INSTANCE]/apache2.pid; Red Hat: /run/httpd/httpd.pid; httpd's own default
  // is httpd.pid in its runtime directory.
  for (const char* parent : {"/run", "/var/run"}) {
    for (const std::string& name : list(parent)) {
      const std::string path = fmt::format("{}/{}", parent, name);
      if (name == "apache2.pid" || name == "httpd.pid") {
        httpd_file(path, parent);
      } else if (name == "httpd" || name == "apache2" || name.starts_with("apache2-")) {
        httpd_file(path + "/apache2.pid", path);
        httpd_file(path + "/httpd.pid", path);
      }
    }
  }
}

/// The process monitor of an instance is called ora_pmon_SID, that of storage asm_pmon_+ASM (Oracle
/// Database Reference, "Background Processes").
void Search::oracle() {
  for (const Process& process : snapshot_.processes) {
    if (!process.command().starts_with("ora_pmon_") &&
        !process.command().starts_with("asm_pmon_")) {
      continue;
    }
    const std::vector<std::string> words = command_line(process.pid);
    std::string name(words.empty() ? process.command() : std::string_view(words.front()));
    name.erase(0, std::min<size_t>(name.size(), 9));
    Instance instance;
    instance.software = oracle_database;
    instance.name = std::move(name);
    instance.pid = process.pid;
    instance.alive = true;
    leftovers_.instances.push_back(std::move(instance));
  }
  const auto table = read("/etc/oratab");
  for (std::string& sid : table ? parse_oratab(*table) : std::vector<std::string>()) {
    if (!has(oracle_database, sid)) {
      Instance instance;
      instance.software = oracle_database;
      instance.name = std::move(sid);
      instance.alive = not_found();
      leftovers_.instances.push_back(std::move(instance));
    }
  }
}

/// sapstart is the parent of an instance's processes and has its profile in its command line, as
/// sapstartsrv does, which also runs when the instance is stopped.
void Search::sap() {
  for (const Process& process : snapshot_.processes) {
    const std::string_view name = process.command();
    if (!name.starts_with("sapstart") && !name.starts_with("dw.sap") && name != "disp+work") {
      continue;
    }
    for (const std::string& word : command_line(process.pid)) {
      std::string found = sap_instance(word);
      if (found.empty() || name.starts_with("sapstartsrv") || has(sap_system, found)) {
        continue;
      }
      Instance instance;
      instance.software = sap_system;
      instance.name = std::move(found);
      instance.pid = process.pid;
      instance.alive = true;
      leftovers_.instances.push_back(std::move(instance));
    }
  }
  const auto services = read("/usr/sap/sapservices");
  for (std::string& name : services ? parse_sapservices(*services) : std::vector<std::string>()) {
    if (!has(sap_system, name)) {
      Instance instance;
      instance.software = sap_system;
      instance.name = std::move(name);
      instance.alive = not_found();
      leftovers_.instances.push_back(std::move(instance));
    }
  }
}

}  // namespace

std::optional<PostmasterFile> parse_postmaster(std::string_view text) {
  PostmasterFile file;
  const auto pid = next_number<int32_t>(text, 10);
  next_line(text);
  if (!pid || *pid == 0 || *pid == INT32_MIN) {
    return std::nullopt;
  }
  file.pid = *pid < 0 ? -*pid : *pid;
  file.directory = next_line(text);
  for (int line = 3; line < 7; line++) {
    next_line(text);
  }
  std::string_view shared = next_line(text);
  const auto key = next_number<uint64_t>(shared);
  const auto id = next_number<int32_t>(shared);
  if (key && id && *key <= UINT32_MAX && *id >= 0) {
    file.key = static_cast<uint32_t>(*key);
    file.shm_id = *id;
  }
  return file;
}

std::vector<std::string> parse_oratab(std::string_view text) {
  std::vector<std::string> sids;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    std::string_view word = next_word(line);
    const size_t colon = word.find(':');
    if (word.empty() || word.front() == '#' || colon == 0 || colon == std::string_view::npos) {
      continue;
    }
    word = word.substr(0, colon);
    if (word != "*") {
      sids.emplace_back(word);
    }
  }
  return sids;
}

std::string sap_instance(std::string_view word) {
  if (!word.starts_with("pf=")) {
    return {};
  }
  const std::string_view profile = word.substr(word.find_last_of("/=") + 1);
  const size_t first = profile.find('_');
  const size_t second = first == std::string_view::npos ? first : profile.find('_', first + 1);
  return std::string(second == std::string_view::npos ? std::string_view()
                                                      : profile.substr(0, second));
}

std::vector<std::string> parse_sapservices(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      std::string name = sap_instance(word);
      if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(std::move(name));
      }
    }
  }
  return names;
}

void find_instances(const Snapshot& snapshot, const ProcRoot& proc, const std::string& root,
                    Leftovers& leftovers) {
  Search search(snapshot, proc, root, leftovers);
  search.postgres();
  search.apache();
  search.oracle();
  search.sap();
}

}  // namespace ipcscope
