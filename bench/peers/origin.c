// The origin behind every proxy: HTTP/1.1 keep-alive, one epoll thread. Usage: origin PORT
//
// `/bytes/N` is answered with N bytes, any other path with 1 KiB. Request bodies are read by Content-Length and thrown
// away before the answer is sent; chunked request bodies are not understood. A slow reader costs it no CPU.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 262144
#define CHUNK (1 << 20)

typedef struct {
  size_t in_len, skip;            // buffered request bytes; request body bytes still to be thrown away
  size_t head_off, head_len;      // the answer's head still to be sent
  size_t body_left;               // the answer's body still to be sent
  int answering, want_write;      // an answer is due; registered for EPOLLOUT
  char head[512], in[16384];
} Conn;

static Conn *conns[FDS];
static char chunk[CHUNK];
static int ep;

static void watch(int op, int fd, unsigned events) {
  struct epoll_event e = {.events = events, .data.fd = fd};
  epoll_ctl(ep, op, fd, &e);
}

// Sends what is due. 1: all sent, 0: the socket is full, -1: the connection is gone.
static int flush_answer(int fd, Conn *c) {
  while (c->head_off < c->head_len || c->body_left) {
    size_t body = c->body_left < CHUNK ? c->body_left : CHUNK, head = c->head_len - c->head_off;
    struct iovec iov[2] = {{c->head + c->head_off, head}, {chunk, body}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    size_t of_head = (size_t)n < head ? (size_t)n : head;
    c->head_off += of_head;
    c->body_left -= (size_t)n - of_head;
  }
  return 1;
}

static void prepare_answer(Conn *c, const char *target) {
  size_t length = strncmp(target, "/bytes/", 7) ? 1024 : strtoull(target + 7, 0, 10);
  c->head_off = 0;
  c->head_len = (size_t)snprintf(c->head, sizeof c->head,
    "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Tue, 24 Nov 2026 02:49:59 GMT\r\nContent-Type: application/json\r\n"
    "Content-Length: %zu\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\nETag: \"5f3-1a2b3c\"\r\n"
    "Vary: Accept-Encoding\r\n\r\n", length);
  c->body_left = length;
  c->answering = 1;
}

// Takes one request off the buffer: 1 when an answer became due or a body is being skipped, 0 when more must be read.
static int take_request(Conn *c) {
  char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
  if (!end) return 0;
  size_t head = (size_t)(end - c->in) + 4;
  end[2] = 0;
  char *target = memchr(c->in, ' ', head), *length = 0;
  if (c->in[0] == 'P') length = strcasestr(c->in, "\ncontent-length:");
  c->skip = length ? strtoull(length + 16, 0, 10) : 0;
  prepare_answer(c, target ? target + 1 : "/");
  c->in_len -= head;
  memmove(c->in, c->in + head, c->in_len);
  return 1;
}

static void drop_body(Conn *c) {
  size_t n = c->skip < c->in_len ? c->skip : c->in_len;
  if (!n) return;
  c->skip -= n;
  c->in_len -= n;
  memmove(c->in, c->in + n, c->in_len);
}

// Works off what is buffered. -1: close.
static int advance(int fd, Conn *c) {
  for (;;) {
    if (!c->answering && !take_request(c)) return c->in_len == sizeof c->in ? -1 : 0;
    drop_body(c);
    if (c->skip) return 0;
    int sent = flush_answer(fd, c);
    if (sent < 0) return -1;
    if (c->want_write != !sent) {
      c->want_write = !sent;
      watch(EPOLL_CTL_MOD, fd, sent ? EPOLLIN : EPOLLOUT);
    }
    if (!sent) return 0;
    c->answering = 0;
  }
}

static void accept_all(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    if (fd >= FDS || (!conns[fd] && !(conns[fd] = malloc(sizeof(Conn))))) {
      close(fd);
      continue;
    }
    Conn *c = conns[fd];
    c->in_len = c->skip = c->head_off = c->head_len = c->body_left = 0;
    c->answering = c->want_write = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

static void serve(int fd) {
  Conn *c = conns[fd];
  if (!c->want_write) {
    ssize_t n = recv(fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      close(fd);
      return;
    }
    c->in_len += (size_t)n;
  }
  if (advance(fd, c) < 0) close(fd);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])),
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (void *)&a, sizeof a) || listen(listener, 4096)) {
    perror("origin");
    return 1;
  }
  memset(chunk, 'x', sizeof chunk);
  ep = epoll_create1(0);
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  struct epoll_event events[256];
  for (;;) {
    int n = epoll_wait(ep, events, 256, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == listener) accept_all(listener);
      else serve(events[i].data.fd);
    }
  }
}
