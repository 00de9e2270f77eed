/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few kernel structs that are read, with the few members that are read. Offsets are not those
 * of any kernel: every access is relocated against the running kernel's BTF when the program is
 * loaded. Members that changed between 5.10 and 7.x have a flavour (a type with ___ in its name)
 * and are asked for with bpf_core_field_exists before use.
 */
#ifndef IPCSCOPE_KERNEL_H
#define IPCSCOPE_KERNEL_H

#include <linux/bpf.h>

#include "record.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

typedef _Bool bool;
#define NULL ((void *)0)
#define true 1
#define false 0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
  struct list_head *next, *prev;
};
struct hlist_node {
  struct hlist_node *next;
};
struct hlist_head {
  struct hlist_node *first;
};
struct rb_node {
  unsigned long __rb_parent_color;
  struct rb_node *rb_right, *rb_left;
};
struct rb_root {
  struct rb_node *rb_node;
};
struct rb_root_cached {
  struct rb_root rb_root;
  struct rb_node *rb_leftmost;
};
struct wait_queue_head {
  struct list_head head;
};
typedef struct wait_queue_head wait_queue_head_t;
typedef struct {
  int counter;
} atomic_t;
typedef struct {
  s64 counter;
} atomic64_t;
typedef atomic64_t atomic_long_t;
struct refcount_struct {
  atomic_t refs;
};
typedef struct refcount_struct refcount_t;

/* --- processes --- */

typedef struct {
  unsigned int val;
} kuid_t;
struct cred {
  kuid_t uid, euid;
};
struct ns_common {
  unsigned int inum;
};
struct pid_namespace {
  unsigned int level;
  struct ns_common ns;
};
struct upid {
  int nr;
  struct pid_namespace *ns;
};
struct pid {
  unsigned int level;
  struct upid numbers[1];
};
struct ipc_namespace {
  struct ns_common ns;
};
struct net {
  struct ns_common ns;
};
struct mnt_namespace {
  struct ns_common ns;
};
struct nsproxy {
  struct ipc_namespace *ipc_ns;
  struct mnt_namespace *mnt_ns;
  struct net *net_ns;
};
struct fdtable {
  unsigned int max_fds;
  struct file **fd;
};
struct files_struct {
  struct fdtable *fdt;
};
struct sched_info {
  unsigned long long last_arrival;
};
struct rq {
  u64 clock;
  u64 clock_task;
};
struct cfs_rq {
  struct rq *rq; /* with CONFIG_FAIR_GROUP_SCHED */
};
struct sched_entity {
  u64 exec_start;
  struct cfs_rq *cfs_rq; /* with CONFIG_FAIR_GROUP_SCHED */
};
struct mm_struct;
struct task_struct {
  unsigned int __state; /* 5.14 */
  void *stack;
  unsigned int flags;
  unsigned int ptrace;
  struct sched_entity se;
  struct sched_info sched_info;
  struct mm_struct *mm;
  int exit_state;
  int pid;
  int tgid;
  struct task_struct *real_parent;
  struct task_struct *parent;
  struct task_struct *group_leader;
  struct pid *thread_pid;
  unsigned long nvcsw;
  unsigned long nivcsw;
  u64 start_boottime; /* 5.5 */
  const struct cred *cred;
  char comm[16];
  struct files_struct *files;
  struct nsproxy *nsproxy;
};
struct task_struct___5_10 {
  long state;
};
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
  unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
  u64 regs[31];
  u64 sp;
  u64 pc;
  u64 orig_x0;
  s32 syscallno;
};
#endif

struct seq_file;
struct bpf_iter_meta {
  struct seq_file *seq;
  u64 session_id;
  u64 seq_num;
};
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};
struct vm_area_struct;
struct bpf_iter__task_vma { /* 5.12 */
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  struct vm_area_struct *vma;
};

/* --- files --- */

struct super_block {
  unsigned int s_dev;
  unsigned long s_magic;
};
struct file_lock_context {
  struct list_head flc_flock;
  struct list_head flc_posix;
  struct list_head flc_lease;
};
struct address_space {
  struct inode *host;
  unsigned long nrpages;
};
struct inode {
  u16 i_mode;
  kuid_t i_uid;
  struct super_block *i_sb;
  struct address_space *i_mapping;
  unsigned long i_ino;
  unsigned int i_nlink;
  unsigned int i_rdev;
  s64 i_size;
  void *i_private;
  struct file_lock_context *i_flctx;
  struct pipe_inode_info *i_pipe;
};
struct qstr {
  u32 len;
  const unsigned char *name;
};
struct dentry {
  struct qstr d_name;
  struct inode *d_inode;
};
struct path {
  struct dentry *dentry;
};
struct file {
  struct path f_path;
  struct inode *f_inode;
  unsigned int f_flags;
  void *private_data;
  s64 f_pos;
};
struct vm_area_struct {
  unsigned long vm_start;
  unsigned long vm_end;
  unsigned long vm_flags;
  unsigned long vm_pgoff;
  struct file *vm_file;
};

/* --- pipes --- */

struct pipe_buffer {
  unsigned int offset, len;
};
struct pipe_inode_info {
  unsigned int head;
  unsigned int tail;
  unsigned int max_usage;
  unsigned int ring_size;
  unsigned int readers;
  unsigned int writers;
  struct pipe_buffer *bufs;
};

/* --- locks --- */

struct file_lock_core { /* 6.9 */
  struct list_head flc_list;
  struct list_head flc_blocked_requests;
  struct list_head flc_blocked_member;
  void *flc_owner;
  unsigned int flc_flags;
  unsigned char flc_type;
  int flc_pid;
  struct file *flc_file;
};
struct file_lock {
  struct file_lock_core c; /* 6.9 */
  s64 fl_start;
  s64 fl_end;
};
struct file_lock___5_10 {
  struct list_head fl_list;
  struct list_head fl_blocked_requests;
  struct list_head fl_blocked_member;
  void *fl_owner;
  unsigned int fl_flags;
  unsigned char fl_type;
  unsigned int fl_pid;
  struct file *fl_file;
  s64 fl_start;
  s64 fl_end;
};

/* --- shared memory --- */

struct shmem_inode_info {
  unsigned int seals;
  struct inode vfs_inode;
};
struct hugetlbfs_inode_info {
  struct inode vfs_inode;
  unsigned int seals;
};

/* --- sockets --- */

typedef struct {
  struct net *net;
} possible_net_t;
struct in6_addr {
  u8 bytes[16];
};
struct sock_common {
  u32 skc_daddr;
  u32 skc_rcv_saddr;
  u16 skc_dport;
  u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  possible_net_t skc_net;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};
struct sk_buff {
  struct sk_buff *next;
  unsigned int len;
  char cb[48];
};
struct sk_buff_head {
  struct sk_buff *next;
  u32 qlen;
};
struct sock {
  struct sock_common __sk_common;
  atomic_t sk_drops;
  struct sk_buff_head sk_receive_queue;
  struct {
    atomic_t rmem_alloc;
  } sk_backlog;
  int sk_rcvbuf;
  int sk_sndbuf;
  refcount_t sk_wmem_alloc;
  u16 sk_type;
  u16 sk_protocol;
  u32 sk_ack_backlog;
  u32 sk_max_ack_backlog;
  unsigned char sk_shutdown; /* a bit field before 5.19 */
  struct pid *sk_peer_pid;
  struct socket *sk_socket;
};
struct socket {
  struct sock *sk;
  struct file *file;
};
struct socket_alloc {
  struct socket socket;
  struct inode vfs_inode;
};
struct unix_address {
  int len;
  struct {
    unsigned short family;
    char path[108];
  } name[1];
};
struct unix_sock {
  struct sock sk;
  struct unix_address *addr;
  struct sock *peer;
};
struct scm_fp_list {
  short count;
  struct file *fp[253];
};
struct unix_skb_parms {
  struct scm_fp_list *fp;
  u32 consumed;
};
struct inet_sock {
  struct sock sk;
  u16 inet_sport;
};
struct tcp_sock {
  u32 rcv_nxt;
  u32 copied_seq;
  u32 write_seq;
  u32 snd_una;
};
struct numa_drop_counters {
  atomic_t drops0, drops1;
};
struct udp_sock {
  struct sk_buff_head reader_queue;
  struct numa_drop_counters drop_counters; /* 6.18 */
};
struct packet_sock {
  u16 num; /* ETH_P_*, big-endian */
};
struct netlink_sock {
  u32 portid;
};
struct sockaddr_vm {
  unsigned int svm_port;
  unsigned int svm_cid;
};
struct vsock_sock {
  struct sockaddr_vm local_addr;
  struct sockaddr_vm remote_addr;
};

/* --- POSIX message queues (ipc/mqueue.c) --- */

struct mq_attr {
  long mq_flags, mq_maxmsg, mq_msgsize, mq_curmsgs;
};
struct sigevent {
  int sigev_signo;
};
struct ext_wait_queue {
  struct list_head list;
};
struct mqueue_inode_info {
  struct inode vfs_inode;
  struct mq_attr attr;
  struct sigevent notify;
  struct pid *notify_owner;
  struct ext_wait_queue e_wait_q[2];
  unsigned long qsize;
};

/* --- anonymous inodes --- */

struct eventfd_ctx {
  wait_queue_head_t wqh;
  u64 count;
  unsigned int flags;
  int id;
};
struct epoll_filefd {
  struct file *file;
  int fd;
};
struct epoll_event_kernel {
  u32 events;
};
struct eventpoll {
  struct rb_root_cached rbr;
};
struct epitem {
  struct rb_node rbn;
  struct epoll_filefd ffd;
  struct epoll_event_kernel event;
};
struct signalfd_ctx {
  struct {
    unsigned long sig[1];
  } sigmask;
};
struct timerqueue_node {
  s64 expires;
};
struct hrtimer {
  struct timerqueue_node node;
  u8 state;
};
struct timerfd_ctx {
  union {
    struct hrtimer tmr;
  } t;
  s64 tintv;
  u64 ticks;
  int clockid;
};
struct fsnotify_group {
  struct list_head marks_list;
};
struct io_sq {
  u32 head, tail;
};
struct io_rings {
  struct io_sq sq, cq;
};
struct io_ring_ctx {
  struct io_rings *rings;
  unsigned int sq_entries;
  unsigned int cq_entries;
};

/* --- terminals --- */

enum tty_driver_type { TTY_DRIVER_TYPE_PTY = 3 }; /* the macro before was 4 */
enum tty_driver_subtype { PTY_TYPE_MASTER = 1 };
struct tty_driver { /* enums since 6.18 */
  enum tty_driver_type type;
  enum tty_driver_subtype subtype;
};
struct tty_driver___5_10 {
  short type;
  short subtype;
};
struct tty_flow {
  bool stopped;
};
struct tty_ctrl {
  bool packet;
};
struct tty_struct {
  int index;
  struct tty_driver *driver;
  struct tty_flow flow; /* 5.15 */
  struct tty_ctrl ctrl; /* 5.15 */
  struct tty_struct *link;
  void *disc_data;
  struct tty_port *port;
};
struct n_tty_data {
  unsigned long read_head; /* size_t */
  unsigned long read_tail;
};
struct tty_buffer {
  struct tty_buffer *next;
  unsigned int used;
  unsigned int size;
  unsigned int commit;
  unsigned int read;
};
struct tty_bufhead {
  struct tty_buffer *head;
};
struct tty_port {
  struct tty_bufhead buf;
};
struct tty_file_private {
  struct tty_struct *tty;
};

#pragma clang attribute pop

/*
 * READ(src, a, b...) is src->a->b... of kernel memory; 0 where a pointer on the way is bad.
 *
 * With DIRECT_READS it is plain loads, which the kernel lets fault: twenty times faster than a
 * helper call each, and needs the kfunc bpf_rdonly_cast (6.2).
 */
#ifdef DIRECT_READS
extern void *bpf_rdonly_cast(const void *object, u32 btf_id) __ksym;
#define READ(src, ...)                                                                 \
  ({                                                                                   \
    typeof(src) direct_ =                                                              \
        bpf_rdonly_cast((const void *)(src), bpf_core_type_id_kernel(typeof(*(src)))); \
    ___arrow(direct_, ##__VA_ARGS__);                                                  \
  })
#else
#define READ(src, ...) BPF_CORE_READ(src, __VA_ARGS__)
#endif

/*
 * A pointer as a number. With direct reads the verifier knows what a pointer points to and takes it
 * neither as an argument of a global function nor for arithmetic; what comes out of a map is a
 * number.
 */
#ifdef DIRECT_READS
static volatile u64 number_slot;
static __always_inline u64 number_of(const void *pointer) {
  number_slot = (u64)pointer;
  return number_slot;
}
#else
#define number_of(pointer) ((u64)(pointer))
#endif

#endif
