/* Mode start: run the server's command --ops times and measure until both its SMTP and its IMAP
   port have greeted. Blocking; the server is ended with SIGTERM after each time. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t/bench/bench.h"

enum { TRY_AGAIN_US = 500, END_S = 20 };

static void pause_us(int64_t us)
{
	struct timespec t = {.tv_sec = us / SECOND_US, .tv_nsec = us % SECOND_US * 1000};
	nanosleep(&t, NULL);
}

/* True when a connection to `port` was greeted with `greeting`. */
static bool greeted(const struct bench *b, uint64_t port, struct str greeting)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char line[512];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t n = -1;
	if (fd < 0 || inet_pton(AF_INET, b->opt.host, &to.sin_addr) != 1) { abort(); }
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		if (poll(&wait, 1, END_S * 1000) == 1) { n = recv(fd, line, sizeof line, 0); }
	}
	close(fd);
	return n > 0 && str_starts(str_make(line, (size_t)n), greeting);
}

static bool wait_greeting(struct bench *b, uint64_t port, struct str greeting)
{
	int64_t deadline_us = b->start_us + END_S * SECOND_US;
	while (!greeted(b, port, greeting)) {
		if (now_us() > deadline_us) { return false; }
		pause_us(TRY_AGAIN_US);
	}
	return true;
}

static pid_t spawn(char **command)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		if (null < 0 || dup2(null, STDOUT_FILENO) < 0) { _exit(126); }
		execvp(command[0], command);
		_exit(127);
	}
	if (pid < 0) { abort(); }
	return pid;
}

static void end(struct bench *b, pid_t pid)
{
	int64_t deadline_us = now_us() + END_S * SECOND_US;
	int status = 0;
	kill(pid, SIGTERM);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_us() > deadline_us) {
			bench_fail(b, "the server does not end on SIGTERM");
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return;
		}
		pause_us(10 * TRY_AGAIN_US);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		bench_fail(b, "the server ended with status %#x", (unsigned)status);
	}
}

void mode_start(struct bench *b)
{
	if (!b->opt.command || !b->opt.command[0]) {
		bench_fail(b, "mode start wants `-- COMMAND ARGUMENTS`");
		return;
	}
	for (uint64_t i = 0; i < b->opt.ops && b->errors == 0; i++) {
		b->start_us = now_us();
		pid_t pid = spawn(b->opt.command);
		if (!wait_greeting(b, b->opt.smtp_port, STR("220 ")) ||
			!wait_greeting(b, b->opt.imap_port, STR("* OK "))) {
			bench_fail(b, "no greeting within %d s", END_S);
		}
		b->end_us = now_us();
		latency_add(&b->latency, b->end_us - b->start_us);
		b->ops++;
		end(b, pid);
	}
}
