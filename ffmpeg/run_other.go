//go:build !linux

package ffmpeg

import (
	"os"
	"os/exec"
)

// Only Linux ties a child's life to its parent's, has namespaces and Landlock,
// and sets the limits of another process.

func ownGroup(*exec.Cmd, bool) {}

func firstThread() bool { return false }

func refused(error) bool { return false }

func killGroup(p *os.Process) error { return p.Kill() }

func lower(*os.Process, int) {}

func limit(*os.Process, Limits) error { return nil }

func restrict(*Confinement, string) error { return nil }

func landlock() int { return 0 }

func memory() int64 { return 0 }
