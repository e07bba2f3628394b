//go:build unix

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

const (
	// termGrace is how long a server may take to save its data on SIGTERM before a Restart kills it.
	termGrace = 30 * time.Second

	// stopGrace is the same for Stop, which throws the data away.
	stopGrace = 3 * time.Second

	// killGrace is how long the kernel may take to end a process after SIGKILL.
	killGrace = 5 * time.Second
)

// serverBinaries are the names that a server goes by on PATH. In a folder that has both, the first is taken.
var serverBinaries = []string{"redis-server", "valkey-server"}

// findBinary returns the path of the first server on PATH, folder by folder. The error says what to install.
func findBinary() (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, name := range serverBinaries {
			// A folder that is not absolute is passed over, as package os/exec does: what lies there is chance.
			if path := filepath.Join(dir, name); filepath.IsAbs(dir) && executable(path) {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%w: neither redis-server nor valkey-server is on PATH: install one (%s)", ErrUnavailable, installWords)
}

// versionLimit bounds the question whether a program is a server.
const versionLimit = 5 * time.Second

// checkBinary returns the path of a server that the user has named, which says itself that it is one.
func checkBinary(ctx context.Context, path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%w: process: names no program: want process:BINARY, or process for the first server on PATH", ErrUsage)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		return "", fmt.Errorf("%w: process:%s: %w", ErrUnavailable, path, errors.Unwrap(err))
	case info.IsDir() || !executable(path):
		return "", fmt.Errorf("%w: process:%s: it is not a program that can be executed", ErrUnavailable, path)
	}
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	command := exec.CommandContext(ctx, path, "--version")
	command.WaitDelay = time.Second
	if said, err := command.Output(); err != nil || !bytes.Contains(said, []byte(" server v=")) {
		return "", fmt.Errorf("%w: process:%s: it does not answer --version as a Redis or Valkey server does", ErrUnavailable, path)
	}
	return path, nil
}

// processServer is a server that runs as a process of this machine, on 127.0.0.1.
type processServer struct {
	usage
	binary    string
	flags     []string // after redis.conf on its command line
	dir       string   // redis.conf, the log, and whatever the server saves
	port      int
	workspace *Workspace
	endpoint  atomic.Pointer[Endpoint] // the password may change with a Restart

	mu       sync.Mutex
	life     *life // nil: down
	stopped  bool
	noGate   bool   // see reservation
	finalLog []byte // what Log returns after Stop
}

// life is one process, from its start to its end.
type life struct {
	command  *exec.Cmd
	done     chan struct{} // closed once the process has ended and was waited for
	logStart int64         // where its part of the log begins, in bytes
}

// StartProcess starts the first server on PATH, redis-server or valkey-server. It listens on
// 127.0.0.1 alone. It fails with ErrUnavailable where there is neither, and with the server's own
// complaint where it does not come up. A topology of several nodes is several processes.
func StartProcess(ctx context.Context, spec Spec) (Server, error) {
	binary, err := findBinary()
	if err != nil {
		return nil, err
	}
	return startBinary(ctx, spec, binary)
}

// processOf is StartProcess with a program that is named.
func processOf(binary string) Starter {
	return func(ctx context.Context, spec Spec) (Server, error) { return startBinary(ctx, spec, binary) }
}

func startBinary(ctx context.Context, spec Spec, binary string) (Server, error) {
	one := func(ctx context.Context, spec Spec, flags ...string) (node, error) {
		return startOneProcess(ctx, spec, binary, flags)
	}
	if spec.Topology.Several() {
		return startSeveral(ctx, spec, one)
	}
	return one(ctx, spec)
}

func startOneProcess(ctx context.Context, spec Spec, binary string, flags []string) (node, error) {
	return withPort(spec.Port, func(port int) (node, error) {
		if spec.Port != 0 {
			if err := probePort(port); err != nil {
				return nil, err
			}
		}
		return startProcess(ctx, spec, binary, port, flags)
	})
}

func startProcess(ctx context.Context, spec Spec, binary string, port int, flags []string) (node, error) {
	dir, err := spec.Workspace.folder(spec.Name)
	if err != nil {
		return nil, err
	}
	s := &processServer{binary: binary, flags: flags, dir: dir, port: port, workspace: spec.Workspace}
	s.endpoint.Store(&Endpoint{Addr: loopback(port), Password: spec.Config.password(), reserved: &reservation{}})
	s.workspace.enter(dir)
	if _, err := s.launch(ctx, spec.Config, port, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s for %s: %w", filepath.Base(binary), spec.Name, err), s.clear())
	}
	return s, nil
}

func (s *processServer) Endpoint() Endpoint { return *s.endpoint.Load() }

func (s *processServer) addr() string { return loopback(s.port) }

func (s *processServer) Info() Info {
	return Info{Kind: KindProcess, Binary: s.binary, Addr: s.addr()}
}

// configuration adds the directives that are the starter's. Everything is relative to the folder that the process starts in.
func (s *processServer) configuration(c Config, port int) Config {
	return c.With(Config{
		"bind": "127.0.0.1", "port": strconv.Itoa(port), "dir": "./", "daemonize": "no", "supervised": "no", "logfile": `""`,
	})
}

// launch starts a process that listens on the port, and waits until it answers there. After an error no process is left. It
// returns the connections that it was asked to reserve, or fewer.
func (s *processServer) launch(ctx context.Context, c Config, port, reserve int) ([]net.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := writeWhole(filepath.Join(s.dir, "redis.conf"), s.configuration(c, port).file()); err != nil {
		return nil, err
	}
	l, err := s.exec()
	if err != nil {
		return nil, err
	}
	s.life = l
	var connections []net.Conn
	err = s.workspace.recordProcess(l.command.Process.Pid)
	if err != nil && s.gone(ctx, 100*time.Millisecond) {
		err = s.died(ctx) // nothing could be found out about a process that was gone so soon, and this says why
	} else if err == nil {
		connections, err = s.await(ctx, Endpoint{Addr: loopback(port), Password: c.password()}, reserve)
	}
	if err != nil {
		return nil, errors.Join(err, s.end(ctx, syscall.SIGKILL, 0))
	}
	return connections, nil
}

// relaunch starts a process with connections reserved for the next Control: through a gate, or where there can be none by
// being fast.
func (s *processServer) relaunch(ctx context.Context, c Config) error {
	before := s.Endpoint()
	s.endpoint.Store(&Endpoint{Addr: before.Addr, Password: c.password(), reserved: before.reserved})
	if !s.noGate {
		err := s.launchGated(ctx, c)
		if !errors.Is(err, errNoGate) {
			return err
		}
		s.noGate = true
	}
	connections, err := s.launch(ctx, c, s.port, ControlConnections)
	before.reserved.put(connections)
	return err
}

func (s *processServer) launchGated(ctx context.Context, c Config) error {
	gate, err := freePort()
	if err != nil {
		return err
	}
	connections, err := s.launch(ctx, c, gate, ControlConnections)
	if err != nil {
		return err
	}
	if err = openGate(ctx, connections, s.port); err == nil {
		_, err = awaitPing(ctx, s.Endpoint(), 0, s.died)
	}
	if err != nil {
		closeAll(connections)
		return errors.Join(err, s.end(ctx, syscall.SIGKILL, 0))
	}
	s.Endpoint().reserved.put(connections)
	return nil
}

// exec starts the process, in a group of its own: a ^C in the terminal is for lockjam, which then stops its servers in order.
func (s *processServer) exec() (*life, error) {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own descriptor
	logStart, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	command := exec.Command(s.binary, append([]string{"redis.conf"}, s.flags...)...)
	command.Dir = s.dir
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	l := &life{command: command, done: make(chan struct{}), logStart: logStart}
	go func() {
		defer close(l.done)
		_ = command.Wait() // how it ended stands in the log, and in command.ProcessState
	}()
	return l, nil
}

// await waits for the first answer and makes sure that it is this server that answers.
func (s *processServer) await(ctx context.Context, e Endpoint, reserve int) ([]net.Conn, error) {
	connections, err := awaitPing(ctx, e, reserve, s.died)
	if err != nil {
		return nil, err
	}
	if err := identify(ctx, e, connections, s.died, s.isOurs); err != nil {
		closeAll(connections)
		return nil, err
	}
	return connections, nil
}

// died returns an error with the server's last words once the process has ended.
func (s *processServer) died(ctx context.Context) error {
	if !s.gone(ctx, 0) {
		return nil
	}
	output := s.outputOfThisLife()
	if bytes.Contains(output, []byte("Address already in use")) {
		return portTakenError(s.port)
	}
	return &Ended{How: s.life.command.ProcessState.String(), Words: lastWords(output)}
}

// isOurs compares the process that answers with the one that was started: its group, since redis-server on PATH may be a
// script that starts the real one.
func (s *processServer) isOurs(info map[string]string) error {
	pid, err := strconv.Atoi(info["process_id"])
	if err != nil {
		return fmt.Errorf("%s does not say which process it is: %w", s.addr(), err)
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != s.life.command.Process.Pid {
		return portTakenError(s.port)
	}
	s.pid.Store(int32(pid))
	return nil
}

// signal sends a signal to the process group.
func (s *processServer) signal(sig syscall.Signal) error {
	if err := s.needsLife(); err != nil {
		return err
	}
	return syscall.Kill(-s.life.command.Process.Pid, sig)
}

// needsLife returns an error where no process runs.
func (s *processServer) needsLife() error {
	switch {
	case s.stopped:
		return fmt.Errorf("the server at %s is stopped for good", s.addr())
	case s.life == nil:
		return fmt.Errorf("the server at %s is down", s.addr())
	}
	if s.gone(context.Background(), 0) {
		return fmt.Errorf("the server at %s has ended by itself (%v): %s", s.addr(), s.life.command.ProcessState, lastWords(s.outputOfThisLife()))
	}
	return nil
}

// end sends the signal, waits for at most grace, or until the context ends, and then kills. It
// returns once the process is gone; doing it again, or after the process has ended by itself, is no
// error.
func (s *processServer) end(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	if s.life == nil {
		return nil
	}
	group := s.life.command.Process.Pid
	if !s.gone(context.Background(), 0) {
		_ = syscall.Kill(-group, sig)
		_ = syscall.Kill(-group, syscall.SIGCONT) // a stopped process takes note of nothing but SIGKILL
		if !s.gone(ctx, grace) {
			_ = syscall.Kill(-group, syscall.SIGKILL)
			if !s.gone(context.Background(), killGrace) {
				return fmt.Errorf("process %d is still there %v after SIGKILL", group, killGrace)
			}
		}
	}
	s.life = nil
	s.Endpoint().reserved.put(nil)
	return nil
}

// gone reports whether the process ends within the limit, and before the context does.
func (s *processServer) gone(ctx context.Context, limit time.Duration) bool {
	select {
	case <-s.life.done:
		return true
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.life.done:
		return true
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
}

func (s *processServer) Kill(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.needsLife(); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	return s.end(ctx, syscall.SIGKILL, killGrace)
}

func (s *processServer) Pause(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	// The signal is on its way, but the process may still answer a command or two.
	for range 100 {
		if s.halted() {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("pause: %w", context.Cause(ctx))
		}
	}
	return fmt.Errorf("pause: process %d has not come to a halt", s.life.command.Process.Pid)
}

// halted reports whether the process is stopped.
func (s *processServer) halted() bool {
	found, err := process.NewProcess(int32(s.life.command.Process.Pid))
	if err != nil {
		return false
	}
	states, err := found.Status()
	return err == nil && slices.Contains(states, process.Stop)
}

func (s *processServer) Resume(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

func (s *processServer) Restart(ctx context.Context, c Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("restart: the server at %s is stopped for good", s.addr())
	}
	err := s.terminate(ctx)
	if err == nil {
		err = s.relaunch(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("restart the server at %s: %w", s.addr(), err)
	}
	return nil
}

// terminate ends the process in good order, as end does with SIGTERM, unless it says in its log
// that it will not end: then it goes on, and the error is ErrWillNotStop.
func (s *processServer) terminate(ctx context.Context) error {
	if s.life == nil {
		return nil
	}
	log, err := os.Stat(s.logPath())
	if err != nil {
		return err
	}
	if err := s.refuses(ctx, log.Size()); err != nil {
		return err
	}
	return s.end(ctx, syscall.SIGTERM, 0)
}

// refuses sends SIGTERM and waits until the process has ended, or its log, read from an offset on,
// says that it will not. An error is ErrWillNotStop; nil is also of a process that does neither
// within the time that it has.
func (s *processServer) refuses(ctx context.Context, from int64) error {
	if s.gone(context.Background(), 0) {
		return nil
	}
	group := s.life.command.Process.Pid
	_ = syscall.Kill(-group, syscall.SIGTERM)
	_ = syscall.Kill(-group, syscall.SIGCONT) // a stopped process takes note of nothing but SIGKILL
	for end := time.Now().Add(within(ctx, termGrace)); ctx.Err() == nil && time.Now().Before(end); {
		if s.gone(ctx, min(logInterval, time.Until(end))) {
			return nil
		}
		if output, err := readTail(s.logPath(), from); err == nil && refusalToStop(output) != "" {
			return fmt.Errorf("%w: %s", ErrWillNotStop, refusalToStop(output))
		}
	}
	return nil
}

// logInterval is the time between two looks at the log of a server that is to end.
const logInterval = 20 * time.Millisecond

func (s *processServer) revive(ctx context.Context, c Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.life != nil {
		return errors.New("it is not down")
	}
	_, err := s.launch(ctx, c, s.port, 0)
	return err
}

func (s *processServer) Log(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return bytes.Clone(s.finalLog), nil
	}
	return readTail(s.logPath(), 0)
}

func (s *processServer) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if err := s.end(ctx, syscall.SIGTERM, stopGrace); err != nil {
		return fmt.Errorf("stop the server at %s: %w", s.addr(), err)
	}
	// A log that cannot be read must not keep the rest from being removed.
	s.finalLog, _ = readTail(s.logPath(), 0)
	if err := s.clear(); err != nil {
		return fmt.Errorf("stop the server at %s: %w", s.addr(), err)
	}
	s.stopped = true
	return nil
}

// clear removes the folder, once no process is left. Where one is left it does nothing: the workspace will not close then.
func (s *processServer) clear() error {
	if s.life != nil {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	s.workspace.leave(s.dir)
	return nil
}

func (s *processServer) logPath() string { return filepath.Join(s.dir, "redis.log") }

// outputOfThisLife is for messages; what cannot be read is left out.
func (s *processServer) outputOfThisLife() []byte {
	output, _ := readTail(s.logPath(), s.life.logStart)
	return output
}

// writeWhole replaces a file, so that nobody ever reads half of it.
func writeWhole(path string, content []byte) error {
	nascent := path + ".new"
	if err := os.WriteFile(nascent, content, 0o600); err != nil {
		return err
	}
	return os.Rename(nascent, path)
}

// logLimit bounds what is kept of a log in memory, in bytes.
const logLimit = 16 << 20

// readTail reads a file from an offset on, but at most its last logLimit bytes.
func readTail(path string, from int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from = max(from, size-logLimit)
	return io.ReadAll(io.NewSectionReader(f, from, size-from))
}
