// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/sharing.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ipcscope {

namespace {

/// 0 equal, 1 less, 2 greater, 3 not equal; -1 with errno.
long kcmp(int pid, int other, int type, unsigned long first, unsigned long second) {
  return ::syscall(SYS_kcmp, pid, other, type, first, second);
}

/// A class of equal descriptions, in the tree of one group.
struct Class {
  const SharedFile* example = nullptr;
  int less = -1;
  int greater = -1;
};

uint32_t scattered(uint64_t value) { return static_cast<uint32_t>(value >> 32 ^ value); }

}  // namespace

SharedIdentities find_shared(std::vector<SharedFile>& files) {
  SharedIdentities result;
  // Within a group in an order that has nothing to do with kcmp's, so that the tree below stays
  // shallow; the identities are hashes.
  std::sort(files.begin(), files.end(), [](const SharedFile& left, const SharedFile& right) {
    return left.look != right.look ? left.look < right.look
                                   : scattered(left.file) < scattered(right.file);
  });
  std::vector<Class> tree;
  for (size_t begin = 0; begin < files.size();) {
    size_t end = begin + 1;
    while (end < files.size() && files[end].look == files[begin].look) {
      end++;
    }
    tree.assign(1, {&files[begin]});
    for (size_t each = begin + 1; each < end; each++) {
      const SharedFile& file = files[each];
      for (int at = 0;;) {
        const SharedFile& example = *tree[static_cast<size_t>(at)].example;
        const long order =
            kcmp(file.pid, example.pid, KCMP_FILE, static_cast<unsigned long>(file.fd),
                 static_cast<unsigned long>(example.fd));
        if (order == 0) {
          result.replaced.emplace(file.file, example.file);
          break;
        }
        if (order != 1 && order != 2) {
          // Ended or closed in between, or not permitted: it stays on its own.
          result.refused += errno == EPERM || errno == EACCES || errno == ENOSYS ? 1 : 0;
          break;
        }
        int& child =
            order == 1 ? tree[static_cast<size_t>(at)].less : tree[static_cast<size_t>(at)].greater;
        if (child < 0) {
          child = static_cast<int>(tree.size());
          tree.push_back({&file});
          break;
        }
        at = child;
      }
    }
    begin = end;
  }
  return result;
}

bool same_memory(int pid, int other) { return kcmp(pid, other, KCMP_VM, 0, 0) == 0; }
bool same_table(int pid, int other) { return kcmp(pid, other, KCMP_FILES, 0, 0) == 0; }

}  // namespace ipcscope
