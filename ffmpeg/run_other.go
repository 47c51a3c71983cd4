//go:build !linux

package ffmpeg

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: only Linux ties a child's life to its parent's.
func ownGroup(*exec.Cmd) {}

func killGroup(p *os.Process) error { return p.Kill() }

func lower(*os.Process, int) {}
