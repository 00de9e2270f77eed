/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few kernel structs that are read, with the few members that are read.
 *
 * Where they are in the running kernel is looked up by user space in one pass over its BTF
 * (collectors/kernel_layout.cpp), and handed to the programs as constants. The kernel can do that
 * too (CO-RE), but scans all of its BTF for each struct: that took longer than everything else.
 *
 * TYPE(struct), then FIELD(struct, name, path, type) for each value and PLACE(struct, name, path)
 * for what only its address is needed of. A member of another size than type, a bit field and a
 * member that the kernel lacks are absent: HAS() tells. A number behind a line is the first kernel
 * version that has it; lines without were there in 5.10.
 */
#ifndef IPCSCOPE_LAYOUT_H
#define IPCSCOPE_LAYOUT_H

#include "record.h"

#define KERNEL_LAYOUT(TYPE, FIELD, PLACE)                                       \
  /* processes */                                                               \
  TYPE(task_struct)                                                             \
  FIELD(task_struct, state, __state, u32)             /* 5.14 */                \
  FIELD(task_struct, long_state, state, u64)          /* until 5.13 */          \
  FIELD(task_struct, status, thread_info.status, u32) /* x86 */                 \
  FIELD(task_struct, stack, stack, u64)                                         \
  FIELD(task_struct, ptrace, ptrace, u32)                                       \
  FIELD(task_struct, exec_start, se.exec_start, u64)                            \
  FIELD(task_struct, cfs_rq, se.cfs_rq, u64) /* with CONFIG_FAIR_GROUP_SCHED */ \
  FIELD(task_struct, last_arrival, sched_info.last_arrival, u64)                \
  FIELD(task_struct, run_time, se.sum_exec_runtime, u64)                        \
  FIELD(task_struct, flags, flags, u32)                                         \
  FIELD(task_struct, signal, signal, u64)                                       \
  FIELD(task_struct, pending, pending.signal, u64)                              \
  FIELD(task_struct, blocked, blocked, u64)                                     \
  FIELD(task_struct, cgroups, cgroups, u64)                                     \
  FIELD(task_struct, mm, mm, u64)                                               \
  FIELD(task_struct, exit_state, exit_state, u32)                               \
  FIELD(task_struct, pid, pid, u32)                                             \
  FIELD(task_struct, tgid, tgid, u32)                                           \
  FIELD(task_struct, real_parent, real_parent, u64)                             \
  FIELD(task_struct, parent, parent, u64)                                       \
  FIELD(task_struct, group_leader, group_leader, u64)                           \
  FIELD(task_struct, thread_pid, thread_pid, u64)                               \
  FIELD(task_struct, nvcsw, nvcsw, u64)                                         \
  FIELD(task_struct, nivcsw, nivcsw, u64)                                       \
  FIELD(task_struct, start_boottime, start_boottime, u64)                       \
  FIELD(task_struct, cred, cred, u64)                                           \
  PLACE(task_struct, comm, comm)                                                \
  FIELD(task_struct, files, files, u64)                                         \
  FIELD(task_struct, nsproxy, nsproxy, u64)                                     \
  TYPE(signal_struct)                                                           \
  FIELD(signal_struct, pending, shared_pending.signal, u64)                     \
  TYPE(css_set)                                                                 \
  FIELD(css_set, cgroup, dfl_cgrp, u64)                                         \
  TYPE(cgroup)                                                                  \
  FIELD(cgroup, kn, kn, u64)                                                    \
  TYPE(kernfs_node)                                                             \
  FIELD(kernfs_node, id, id, u64)                                               \
  TYPE(cfs_rq)                                                                  \
  FIELD(cfs_rq, rq, rq, u64) /* with CONFIG_FAIR_GROUP_SCHED */                 \
  TYPE(rq)                                                                      \
  FIELD(rq, clock, clock, u64)                                                  \
  FIELD(rq, clock_task, clock_task, u64)                                        \
  TYPE(cred)                                                                    \
  FIELD(cred, euid, euid.val, u32)                                              \
  FIELD(cred, user, user, u64)                                                  \
  TYPE(user_struct)                                                             \
  FIELD(user_struct, in_flight, unix_inflight, u64)                             \
  TYPE(pid)                                                                     \
  FIELD(pid, level, level, u32)                                                 \
  PLACE(pid, numbers, numbers)                                                  \
  TYPE(pid_namespace)                                                           \
  FIELD(pid_namespace, inum, ns.inum, u32)                                      \
  TYPE(nsproxy)                                                                 \
  FIELD(nsproxy, ipc_ns, ipc_ns, u64)                                           \
  FIELD(nsproxy, mnt_ns, mnt_ns, u64)                                           \
  FIELD(nsproxy, net_ns, net_ns, u64)                                           \
  TYPE(ipc_namespace)                                                           \
  FIELD(ipc_namespace, inum, ns.inum, u32)                                      \
  PLACE(ipc_namespace, ids, ids)                                                \
  TYPE(mnt_namespace)                                                           \
  FIELD(mnt_namespace, inum, ns.inum, u32)                                      \
  TYPE(net)                                                                     \
  FIELD(net, inum, ns.inum, u32)                                                \
  TYPE(files_struct)                                                            \
  FIELD(files_struct, fdt, fdt, u64)                                            \
  TYPE(fdtable)                                                                 \
  FIELD(fdtable, max_fds, max_fds, u32)                                         \
  FIELD(fdtable, fd, fd, u64)                                                   \
  FIELD(fdtable, open, open_fds, u64)                                           \
  TYPE(pt_regs)                                                                 \
  KERNEL_REGISTERS(FIELD, PLACE)                                                \
  /* files */                                                                   \
  TYPE(file)                                                                    \
  FIELD(file, dentry, f_path.dentry, u64)                                       \
  FIELD(file, inode, f_inode, u64)                                              \
  FIELD(file, op, f_op, u64)                                                    \
  FIELD(file, flags, f_flags, u32)                                              \
  FIELD(file, private_data, private_data, u64)                                  \
  FIELD(file, cred, f_cred, u64)                                                \
  FIELD(file, count, f_count.counter, u64)    /* until 6.12 */                  \
  FIELD(file, ref, f_ref.refcnt.counter, u64) /* 6.13; one less */              \
  TYPE(inode)                                                                   \
  FIELD(inode, mode, i_mode, u16)                                               \
  FIELD(inode, uid, i_uid.val, u32)                                             \
  FIELD(inode, sb, i_sb, u64)                                                   \
  FIELD(inode, mapping, i_mapping, u64)                                         \
  FIELD(inode, ino, i_ino, u64)                                                 \
  FIELD(inode, nlink, i_nlink, u32)                                             \
  FIELD(inode, rdev, i_rdev, u32)                                               \
  FIELD(inode, size, i_size, u64)                                               \
  FIELD(inode, private, i_private, u64)                                         \
  FIELD(inode, flctx, i_flctx, u64)                                             \
  FIELD(inode, pipe, i_pipe, u64)                                               \
  FIELD(inode, count, i_count.counter, u32)                                     \
  TYPE(super_block)                                                             \
  FIELD(super_block, dev, s_dev, u32)                                           \
  FIELD(super_block, magic, s_magic, u64)                                       \
  TYPE(dentry)                                                                  \
  FIELD(dentry, name, d_name.name, u64)                                         \
  FIELD(dentry, name_length, d_name.len, u32)                                   \
  FIELD(dentry, count, d_lockref.count, u32)                                    \
  FIELD(dentry, hashed, d_hash.pprev, u64)                                      \
  TYPE(address_space)                                                           \
  FIELD(address_space, nrpages, nrpages, u64)                                   \
  FIELD(address_space, writable, i_mmap_writable.counter, u32)                  \
  TYPE(vm_area_struct)                                                          \
  FIELD(vm_area_struct, start, vm_start, u64)                                   \
  FIELD(vm_area_struct, end, vm_end, u64)                                       \
  FIELD(vm_area_struct, flags, vm_flags, u64)                                   \
  FIELD(vm_area_struct, pgoff, vm_pgoff, u64)                                   \
  FIELD(vm_area_struct, file, vm_file, u64)                                     \
  /* pipes */                                                                   \
  TYPE(pipe_inode_info)                                                         \
  FIELD(pipe_inode_info, head, head, u32)                                       \
  FIELD(pipe_inode_info, tail, tail, u32)                                       \
  FIELD(pipe_inode_info, max_usage, max_usage, u32)                             \
  FIELD(pipe_inode_info, ring_size, ring_size, u32)                             \
  FIELD(pipe_inode_info, readers, readers, u32)                                 \
  FIELD(pipe_inode_info, writers, writers, u32)                                 \
  FIELD(pipe_inode_info, bufs, bufs, u64)                                       \
  TYPE(pipe_buffer)                                                             \
  FIELD(pipe_buffer, len, len, u32)                                             \
  /* locks */                                                                   \
  TYPE(file_lock_context)                                                       \
  PLACE(file_lock_context, flock, flc_flock)                                    \
  PLACE(file_lock_context, posix, flc_posix)                                    \
  PLACE(file_lock_context, lease, flc_lease)                                    \
  TYPE(file_lock_core) /* 6.9, and all of its members */                        \
  PLACE(file_lock_core, list, flc_list)                                         \
  PLACE(file_lock_core, blocked_requests, flc_blocked_requests)                 \
  FIELD(file_lock_core, owner, flc_owner, u64)                                  \
  FIELD(file_lock_core, flags, flc_flags, u32)                                  \
  FIELD(file_lock_core, type, flc_type, u8)                                     \
  FIELD(file_lock_core, pid, flc_pid, u32)                                      \
  FIELD(file_lock_core, blocker, flc_blocker, u64)                              \
  FIELD(file_lock_core, file, flc_file, u64)                                    \
  TYPE(file_lock)                                                               \
  PLACE(file_lock, core, c) /* 6.9; instead of the next eight */                \
  PLACE(file_lock, list, fl_list)                                               \
  PLACE(file_lock, blocked_requests, fl_blocked_requests)                       \
  FIELD(file_lock, owner, fl_owner, u64)                                        \
  FIELD(file_lock, flags, fl_flags, u32)                                        \
  FIELD(file_lock, type, fl_type, u8)                                           \
  FIELD(file_lock, pid, fl_pid, u32)                                            \
  FIELD(file_lock, blocker, fl_blocker, u64)                                    \
  FIELD(file_lock, file, fl_file, u64)                                          \
  FIELD(file_lock, start, fl_start, u64)                                        \
  FIELD(file_lock, end, fl_end, u64)                                            \
  /* shared memory */                                                           \
  TYPE(shmem_inode_info)                                                        \
  FIELD(shmem_inode_info, seals, seals, u32)                                    \
  PLACE(shmem_inode_info, vfs_inode, vfs_inode)                                 \
  TYPE(hugetlbfs_inode_info)                                                    \
  FIELD(hugetlbfs_inode_info, seals, seals, u32)                                \
  PLACE(hugetlbfs_inode_info, vfs_inode, vfs_inode)                             \
  /* sockets */                                                                 \
  TYPE(socket)                                                                  \
  FIELD(socket, sk, sk, u64)                                                    \
  FIELD(socket, file, file, u64)                                                \
  TYPE(sock)                                                                    \
  FIELD(sock, daddr, __sk_common.skc_daddr, u32)                                \
  FIELD(sock, rcv_saddr, __sk_common.skc_rcv_saddr, u32)                        \
  FIELD(sock, dport, __sk_common.skc_dport, u16)                                \
  FIELD(sock, num, __sk_common.skc_num, u16)                                    \
  FIELD(sock, family, __sk_common.skc_family, u16)                              \
  FIELD(sock, state, __sk_common.skc_state, u8)                                 \
  FIELD(sock, net, __sk_common.skc_net.net, u64)                                \
  FIELD(sock, refcnt, __sk_common.skc_refcnt.refs.counter, u32)                 \
  PLACE(sock, v6_daddr, __sk_common.skc_v6_daddr)                               \
  PLACE(sock, v6_rcv_saddr, __sk_common.skc_v6_rcv_saddr)                       \
  FIELD(sock, drops, sk_drops.counter, u32)                                     \
  PLACE(sock, receive_queue, sk_receive_queue)                                  \
  FIELD(sock, receive_queue_length, sk_receive_queue.qlen, u32)                 \
  FIELD(sock, rmem_alloc, sk_backlog.rmem_alloc.counter, u32)                   \
  FIELD(sock, rcvbuf, sk_rcvbuf, u32)                                           \
  FIELD(sock, sndbuf, sk_sndbuf, u32)                                           \
  FIELD(sock, wmem_alloc, sk_wmem_alloc.refs.counter, u32)                      \
  FIELD(sock, type, sk_type, u16)                                               \
  FIELD(sock, protocol, sk_protocol, u16)                                       \
  FIELD(sock, ack_backlog, sk_ack_backlog, u32)                                 \
  FIELD(sock, max_ack_backlog, sk_max_ack_backlog, u32)                         \
  FIELD(sock, shutdown, sk_shutdown, u8) /* a bit field before 5.19 */          \
  FIELD(sock, peer_pid, sk_peer_pid, u64)                                       \
  FIELD(sock, socket, sk_socket, u64)                                           \
  TYPE(sk_buff)                                                                 \
  FIELD(sk_buff, len, len, u32)                                                 \
  PLACE(sk_buff, cb, cb)                                                        \
  TYPE(unix_sock)                                                               \
  FIELD(unix_sock, addr, addr, u64)                                             \
  FIELD(unix_sock, peer, peer, u64)                                             \
  TYPE(unix_address)                                                            \
  FIELD(unix_address, len, len, u32)                                            \
  PLACE(unix_address, name, name)                                               \
  TYPE(unix_skb_parms)                                                          \
  FIELD(unix_skb_parms, fp, fp, u64)                                            \
  FIELD(unix_skb_parms, consumed, consumed, u32)                                \
  TYPE(scm_fp_list)                                                             \
  FIELD(scm_fp_list, count, count, u16)                                         \
  PLACE(scm_fp_list, fp, fp)                                                    \
  TYPE(tcp_sock)                                                                \
  FIELD(tcp_sock, rcv_nxt, rcv_nxt, u32)                                        \
  FIELD(tcp_sock, copied_seq, copied_seq, u32)                                  \
  FIELD(tcp_sock, write_seq, write_seq, u32)                                    \
  FIELD(tcp_sock, snd_una, snd_una, u32)                                        \
  TYPE(udp_sock)                                                                \
  PLACE(udp_sock, reader_queue, reader_queue)                                   \
  FIELD(udp_sock, drops0, drop_counters.drops0.counter, u32) /* 6.18 */         \
  FIELD(udp_sock, drops1, drop_counters.drops1.counter, u32) /* 6.18 */         \
  TYPE(netlink_sock)                                                            \
  FIELD(netlink_sock, portid, portid, u32)                                      \
  TYPE(packet_sock) /* in vmlinux or in the module af_packet */                 \
  FIELD(packet_sock, num, num, u16)                                             \
  TYPE(vsock_sock) /* in vmlinux or in the module vsock */                      \
  FIELD(vsock_sock, local_port, local_addr.svm_port, u32)                       \
  FIELD(vsock_sock, local_cid, local_addr.svm_cid, u32)                         \
  FIELD(vsock_sock, remote_port, remote_addr.svm_port, u32)                     \
  FIELD(vsock_sock, remote_cid, remote_addr.svm_cid, u32)                       \
  /* POSIX message queues (ipc/mqueue.c) */                                     \
  TYPE(mqueue_inode_info)                                                       \
  PLACE(mqueue_inode_info, vfs_inode, vfs_inode)                                \
  FIELD(mqueue_inode_info, messages_max, attr.mq_maxmsg, u64)                   \
  FIELD(mqueue_inode_info, message_bytes_max, attr.mq_msgsize, u64)             \
  FIELD(mqueue_inode_info, messages, attr.mq_curmsgs, u64)                      \
  FIELD(mqueue_inode_info, notify_signal, notify.sigev_signo, u32)              \
  FIELD(mqueue_inode_info, notify_owner, notify_owner, u64)                     \
  PLACE(mqueue_inode_info, e_wait_q, e_wait_q)                                  \
  FIELD(mqueue_inode_info, qsize, qsize, u64)                                   \
  FIELD(mqueue_inode_info, tree, msg_tree.rb_node, u64)                         \
  FIELD(mqueue_inode_info, rightmost, msg_tree_rightmost, u64) /* 5.3 */        \
  TYPE(posix_msg_tree_node)                                                     \
  PLACE(posix_msg_tree_node, rb_node, rb_node)                                  \
  PLACE(posix_msg_tree_node, msg_list, msg_list)                                \
  TYPE(ext_wait_queue)                                                          \
  PLACE(ext_wait_queue, list, list)                                             \
  /* System V (ipc/util.h, ipc/sem.c, ipc/msg.c) */                             \
  TYPE(ipc_ids)                                                                 \
  FIELD(ipc_ids, root, ipcs_idr.idr_rt.xa_head, u64)                            \
  TYPE(xa_node)                                                                 \
  FIELD(xa_node, shift, shift, u8)                                              \
  PLACE(xa_node, slots, slots)                                                  \
  TYPE(kern_ipc_perm)                                                           \
  FIELD(kern_ipc_perm, id, id, u32)                                             \
  TYPE(sem_array)                                                               \
  PLACE(sem_array, pending_alter, pending_alter)                                \
  PLACE(sem_array, pending_const, pending_const)                                \
  PLACE(sem_array, list_id, list_id)                                            \
  FIELD(sem_array, sem_nsems, sem_nsems, u32)                                   \
  PLACE(sem_array, sems, sems)                                                  \
  TYPE(sem)                                                                     \
  PLACE(sem, pending_alter, pending_alter)                                      \
  PLACE(sem, pending_const, pending_const)                                      \
  TYPE(msg_queue)                                                               \
  PLACE(msg_queue, q_messages, q_messages)                                      \
  PLACE(msg_queue, q_receivers, q_receivers)                                    \
  PLACE(msg_queue, q_senders, q_senders)                                        \
  /* anonymous inodes */                                                        \
  TYPE(eventfd_ctx)                                                             \
  PLACE(eventfd_ctx, waiters, wqh.head)                                         \
  FIELD(eventfd_ctx, count, count, u64)                                         \
  FIELD(eventfd_ctx, flags, flags, u32)                                         \
  FIELD(eventfd_ctx, id, id, u32)                                               \
  TYPE(eventpoll)                                                               \
  FIELD(eventpoll, leftmost, rbr.rb_leftmost, u64)                              \
  TYPE(epitem)                                                                  \
  PLACE(epitem, rbn, rbn)                                                       \
  FIELD(epitem, file, ffd.file, u64)                                            \
  FIELD(epitem, fd, ffd.fd, u32)                                                \
  FIELD(epitem, events, event.events, u32)                                      \
  TYPE(signalfd_ctx)                                                            \
  FIELD(signalfd_ctx, sigmask, sigmask, u64)                                    \
  TYPE(timerfd_ctx)                                                             \
  FIELD(timerfd_ctx, expires, t.tmr.node.expires, u64)                          \
  FIELD(timerfd_ctx, timer_state, t.tmr.state, u8)      /* until 6.18 */        \
  FIELD(timerfd_ctx, timer_queued, t.tmr.is_queued, u8) /* 7.3 */               \
  FIELD(timerfd_ctx, tintv, tintv, u64)                                         \
  FIELD(timerfd_ctx, ticks, ticks, u64)                                         \
  FIELD(timerfd_ctx, clockid, clockid, u32)                                     \
  TYPE(fsnotify_group)                                                          \
  PLACE(fsnotify_group, marks_list, marks_list)                                 \
  TYPE(io_ring_ctx)                                                             \
  FIELD(io_ring_ctx, rings, rings, u64)                                         \
  FIELD(io_ring_ctx, sq_entries, sq_entries, u32)                               \
  FIELD(io_ring_ctx, cq_entries, cq_entries, u32)                               \
  TYPE(io_kiocb)                                                                \
  FIELD(io_kiocb, opcode, opcode, u8)                                           \
  FIELD(io_kiocb, flags, flags, u64)                                            \
  FIELD(io_kiocb, file, file, u64)                                              \
  FIELD(io_kiocb, fd, cqe.fd, u32) /* 5.19 */                                   \
  TYPE(io_rings)                                                                \
  FIELD(io_rings, sq_head, sq.head, u32)                                        \
  FIELD(io_rings, sq_tail, sq.tail, u32)                                        \
  FIELD(io_rings, cq_head, cq.head, u32)                                        \
  FIELD(io_rings, cq_tail, cq.tail, u32)                                        \
  /* terminals */                                                               \
  TYPE(tty_file_private)                                                        \
  FIELD(tty_file_private, tty, tty, u64)                                        \
  FIELD(tty_file_private, file, file, u64)                                      \
  PLACE(tty_file_private, list, list)                                           \
  TYPE(tty_struct)                                                              \
  FIELD(tty_struct, index, index, u32)                                          \
  FIELD(tty_struct, count, count, u32)                                          \
  PLACE(tty_struct, files, tty_files)                                           \
  FIELD(tty_struct, driver, driver, u64)                                        \
  FIELD(tty_struct, stopped, flow.stopped, u8) /* 5.15 */                       \
  FIELD(tty_struct, packet, ctrl.packet, u8)   /* 5.15 */                       \
  FIELD(tty_struct, link, link, u64)                                            \
  FIELD(tty_struct, disc_data, disc_data, u64)                                  \
  FIELD(tty_struct, port, port, u64)                                            \
  TYPE(tty_driver)                                                              \
  FIELD(tty_driver, major, major, u32)                                          \
  TYPE(n_tty_data)                                                              \
  FIELD(n_tty_data, read_head, read_head, u64)                                  \
  FIELD(n_tty_data, read_tail, read_tail, u64)                                  \
  TYPE(tty_port)                                                                \
  FIELD(tty_port, buffers, buf.head, u64)                                       \
  TYPE(tty_buffer)                                                              \
  FIELD(tty_buffer, next, next, u64)                                            \
  FIELD(tty_buffer, commit, commit, u32)                                        \
  FIELD(tty_buffer, read, read, u32)

#if defined(__TARGET_ARCH_arm64) || defined(__aarch64__)
#define KERNEL_REGISTERS(FIELD, PLACE)  \
  PLACE(pt_regs, regs, regs)            \
  FIELD(pt_regs, sp, sp, u64)           \
  FIELD(pt_regs, pc, pc, u64)           \
  FIELD(pt_regs, pstate, pstate, u64)   \
  FIELD(pt_regs, orig_x0, orig_x0, u64) \
  FIELD(pt_regs, syscallno, syscallno, u32)
#else
#define KERNEL_REGISTERS(FIELD, PLACE)  \
  FIELD(pt_regs, r15, r15, u64)         \
  FIELD(pt_regs, r14, r14, u64)         \
  FIELD(pt_regs, r13, r13, u64)         \
  FIELD(pt_regs, r12, r12, u64)         \
  FIELD(pt_regs, bp, bp, u64)           \
  FIELD(pt_regs, bx, bx, u64)           \
  FIELD(pt_regs, r11, r11, u64)         \
  FIELD(pt_regs, ax, ax, u64)           \
  FIELD(pt_regs, cx, cx, u64)           \
  FIELD(pt_regs, r10, r10, u64)         \
  FIELD(pt_regs, r9, r9, u64)           \
  FIELD(pt_regs, r8, r8, u64)           \
  FIELD(pt_regs, dx, dx, u64)           \
  FIELD(pt_regs, si, si, u64)           \
  FIELD(pt_regs, di, di, u64)           \
  FIELD(pt_regs, orig_ax, orig_ax, u64) \
  FIELD(pt_regs, cs, cs, u16)           \
  FIELD(pt_regs, long_cs, cs, u64)      \
  FIELD(pt_regs, ip, ip, u64)           \
  FIELD(pt_regs, sp, sp, u64)
#endif

#define LAYOUT_NOTHING(...)
#define LAYOUT_TYPE(type) KERNEL_TYPE_##type,
#define LAYOUT_MEMBER(type, name, ...) KERNEL_MEMBER_##type##_##name,
enum kernel_type { KERNEL_LAYOUT(LAYOUT_TYPE, LAYOUT_NOTHING, LAYOUT_NOTHING) KERNEL_TYPES };
enum kernel_member { KERNEL_LAYOUT(LAYOUT_NOTHING, LAYOUT_MEMBER, LAYOUT_MEMBER) KERNEL_MEMBERS };

#define MEMBER_ABSENT 0x7fffffffU /* an offset that no struct has */

/** What user space hands to the programs. */
struct kernel_layout {
  u32 id[KERNEL_TYPES];   /* in the BTF of vmlinux; 0 when it is not there */
  u32 size[KERNEL_TYPES]; /* bytes */
  u32 offset[KERNEL_MEMBERS];
  u32 page_size; /* bytes */
};

#endif
