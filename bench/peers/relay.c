// The floor: a plain TCP relay, one epoll thread, one origin connection per client connection. Usage: relay PORT ORIGIN
//
// It reads no byte of what it copies, so nothing that proxies through two sockets can be much cheaper.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS 262144
#define COPY 65536

typedef struct {
  int peer;            // the other socket of the pair; 0: not in use
  char *due;           // bytes this socket was too full to take; its peer isn't read meanwhile
  size_t off, len;
} Side;

static Side sides[FDS];
static char copy[COPY];
static int ep;

static void watch(int op, int fd, unsigned events) {
  struct epoll_event e = {.events = events, .data.fd = fd};
  epoll_ctl(ep, op, fd, &e);
}

// What a side waits for: its peer's reader is held while it has bytes due, and it wants to write them.
static void rewatch(int fd) {
  unsigned in = sides[sides[fd].peer].due ? 0 : EPOLLIN, out = sides[fd].due ? EPOLLOUT : 0;
  watch(EPOLL_CTL_MOD, fd, in | out);
}

static void hang_up(int fd) {
  int peer = sides[fd].peer;
  free(sides[fd].due);
  free(sides[peer].due);
  memset(&sides[fd], 0, sizeof(Side));
  memset(&sides[peer], 0, sizeof(Side));
  close(fd);
  close(peer);
}

// Puts what `to` couldn't take aside. 0: out of memory.
static int put_aside(int from, int to, const char *bytes, size_t len) {
  Side *s = &sides[to];
  if (!(s->due = malloc(len))) return 0;
  memcpy(s->due, bytes, len);
  s->off = 0;
  s->len = len;
  rewatch(from);
  rewatch(to);
  return 1;
}

static void write_due(int fd) {
  Side *s = &sides[fd];
  ssize_t n = send(fd, s->due + s->off, s->len - s->off, MSG_NOSIGNAL);
  if (n < 0) {
    if (errno != EAGAIN) hang_up(fd);
    return;
  }
  s->off += (size_t)n;
  if (s->off < s->len) return;
  free(s->due);
  s->due = 0;
  rewatch(fd);
  rewatch(s->peer);
}

static void relay(int fd) {
  if (sides[sides[fd].peer].due) { // not registered for reading now: only an error brings us here
    hang_up(fd);
    return;
  }
  ssize_t n = recv(fd, copy, sizeof copy, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    hang_up(fd);
    return;
  }
  int to = sides[fd].peer;
  ssize_t sent = send(to, copy, (size_t)n, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) {
      hang_up(fd);
      return;
    }
    sent = 0;
  }
  if (sent < n && !put_aside(fd, to, copy + sent, (size_t)(n - sent))) hang_up(fd);
}

static void accept_all(int listener, const struct sockaddr_in *origin) {
  int client, one = 1;
  while ((client = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    int upstream = socket(AF_INET, SOCK_STREAM, 0);
    if (client >= FDS || upstream < 0 || upstream >= FDS || connect(upstream, (void *)origin, sizeof *origin)) {
      close(client);
      if (upstream >= 0) close(upstream);
      continue;
    }
    setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sides[client].peer = upstream;
    sides[upstream].peer = client;
    watch(EPOLL_CTL_ADD, client, EPOLLIN);
    watch(EPOLL_CTL_ADD, upstream, EPOLLIN);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])),
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, origin = a;
  origin.sin_port = htons((unsigned short)atoi(argv[2]));
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (void *)&a, sizeof a) || listen(listener, 4096)) {
    perror("relay");
    return 1;
  }
  ep = epoll_create1(0);
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  struct epoll_event events[256];
  for (;;) {
    int n = epoll_wait(ep, events, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener, &origin);
      else if (sides[fd].peer && (events[i].events & EPOLLOUT) && sides[fd].due) write_due(fd);
      else if (sides[fd].peer && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) relay(fd);
    }
  }
}
