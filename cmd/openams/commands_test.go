package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  ", nil},
		{"whisper-cli -m /models/base.bin", []string{"whisper-cli", "-m", "/models/base.bin"}},
		{` a 'b c' "d'e" f"g h" '' $x`, []string{"a", "b c", "d'e", "fg h", "", "$x"}},
	} {
		if got, err := splitCommand(tt.line); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", tt.line, got, err, tt.want)
		}
	}
	if _, err := splitCommand(`a "b`); err == nil {
		t.Error("an open quote")
	}
}

func TestCommands(t *testing.T) {
	c := config{SpeechCommand: "sh -c x", CommandMemory: 2}
	all, err := c.commands()
	if err != nil || len(all.Speech) != 3 || !strings.HasSuffix(all.Speech[0], "/sh") || all.Faces != nil || all.Memory != 2<<20 {
		t.Errorf("%+v, %v", all, err)
	}
	c.OCRCommand = "no-such-program"
	if _, err := c.commands(); err == nil || !strings.Contains(err.Error(), "--ocr-command") {
		t.Errorf("%v", err)
	}
}
