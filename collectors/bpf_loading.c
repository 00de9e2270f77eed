/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/bpf_loading.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "collectors/bpf_skeleton.h"

static struct bpf_object_open_opts options = {.sz = sizeof options};
static unsigned without;

const struct bpf_object_open_opts* open_options(void) { return &options; }

void set_bpf_types(const char* path) { options.btf_custom_path = path; }

void do_without_in_bpf(unsigned lacks) { without |= lacks; }

int is_without_in_bpf(unsigned lack) { return (without & lack) != 0; }

static int say_nothing(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level;
  (void)format;
  (void)arguments;
  return 0;
}

void prepare_bpf_loading(void) {
  /* Before 5.11 maps count against RLIMIT_MEMLOCK; raising it may fail, and then loading does. */
  const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
  libbpf_set_print(say_nothing);
}
