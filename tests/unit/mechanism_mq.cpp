// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/mq.h"

#include "collectors/mq_directory.h"
#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

mq_record queue(uint32_t pid, int fd, uint64_t object, const std::string& name) {
  auto made = make_file<mq_record>(RECORD_MQ, pid, fd, 0xf000 + static_cast<uint64_t>(fd), object);
  made.messages = 2;
  made.messages_max = 10;
  made.message_bytes_max = 64;
  made.bytes = 9;
  made.notify_pid = 10;
  made.notify_signal = 12;
  made.waiting_senders = 0;
  made.waiting_receivers = UNKNOWN_U32;
  made.links = 1;
  made.name_length = static_cast<u16>(std::min<size_t>(name.size(), MQ_NAME_MAX));
  std::memcpy(made.name, name.data(), made.name_length);
  return made;
}

}  // namespace

TEST_CASE("a message queue has readers and writers", "[mq]") {
  MechanismTest test(mq_mechanism);
  test.process(10);
  test.process(20, 4026539999);
  mq_record both = queue(10, 3, 0xa, "q");
  test.take(both);
  both.file.fd = 4;
  both.file.flags = O_WRONLY;
  test.take(both);
  test.take(queue(20, 3, 0xb, "q"));
  mq_record unlinked = queue(10, 5, 0xc, "q");
  unlinked.links = 0;
  unlinked.file.flags = O_RDONLY;
  test.take(unlinked);
  const std::string long_name(200, 'n');
  test.tree.link("10/fd/6", "/" + long_name);
  test.take(queue(10, 6, 0xd, long_name));
  test.finish();
  const Channel& channel = test.channel("mq:/q");
  CHECK(channel.name == "/q");
  CHECK(channel.depth_messages == 2U);
  CHECK(channel.depth_bytes == 9U);
  CHECK(channel.capacity_messages == 10U);
  CHECK(test.endpoints("mq:/q") == "10:reader:3 10:writer:3 10:writer:4");
  CHECK(test.attribute("mq:/q", "message_bytes_max") == "64");
  CHECK(test.attribute("mq:/q", "notify_pid") == "10");
  CHECK(test.attribute("mq:/q", "notify_signal") == "12");
  CHECK(test.attribute("mq:/q", "waiting_receivers") == "null");
  CHECK(test.channel("mq:/q@4026539999").name_space == 4026539999);
  CHECK(test.endpoints("mq:/q#77") == "10:reader:5");
  CHECK(test.has("mq:/" + long_name));
}

TEST_CASE("the file of a queue is read", "[mq]") {
  mq_record facts{};
  CHECK(parse_queue_file("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n", facts));
  CHECK(facts.bytes == 129);
  CHECK(facts.notify_pid == 8260);
  CHECK_FALSE(parse_queue_file("", facts));
  CHECK_FALSE(parse_queue_file("QSIZE:x NOTIFY:2 SIGNO:0 NOTIFY_PID:1", facts));
}
