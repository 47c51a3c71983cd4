package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

func demoCommand() *cobra.Command {
	var exit bool
	var credit string
	cmd := &cobra.Command{
		Use:   "demo [FILE]",
		Short: "Upload, encode, publish and play a clip on a throw-away server",
		Long: `demo starts a server on a temporary data folder and takes a clip through the
whole flow as a client would, over HTTP: upload by SAS URL, encode, publish,
play. Without FILE it makes a clip with a clock and a tone.`,
		Args: cobra.MaximumNArgs(1),
	}
	serverFlags(cmd.Flags())
	cmd.Flags().BoolVar(&exit, "exit", false, "stop after the check; fail if anything did not play")
	cmd.Flags().StringVar(&credit, "credit", "", "whom to credit for FILE")
	cmd.Flags().Lookup("log-level").DefValue = "warn"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := os.MkdirTemp("", "openams-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		flags := cmd.Flags()
		for name, value := range map[string]string{"data": filepath.Join(dir, "data"), "log-level": "warn"} {
			if !flags.Changed(name) {
				if err := flags.Set(name, value); err != nil {
					return err
				}
			}
		}
		c, err := loadConfig(flags)
		if err != nil {
			return err
		}
		c.freePorts()
		d := &demo{out: cmd.OutOrStdout(), ffmpeg: c.FFmpeg, ffprobe: c.FFprobe, dir: dir}
		if f, ok := d.out.(*os.File); ok {
			d.terminal = term.IsTerminal(int(f.Fd()))
		}
		file := ""
		if len(args) == 1 {
			file = args[0]
		} else if file, err = d.makeClip(cmd.Context()); err != nil {
			return err
		}
		return d.run(cmd.Context(), c, file, credit, exit)
	}
	return cmd
}

// freePorts gives up the usual ports that somebody else uses: a demo must not
// fail because of another program.
func (c *config) freePorts() {
	for _, p := range []*int{&c.HTTPSPort, &c.HTTPPort, &c.BlobPort, &c.BlobTLSPort, &c.StreamingPort} {
		l, err := net.Listen("tcp", net.JoinHostPort(c.Listen, fmt.Sprint(*p)))
		if err != nil {
			*p = 0
			continue
		}
		l.Close()
	}
}

// A demo is one showing.
type demo struct {
	out             io.Writer
	terminal        bool
	ffmpeg, ffprobe string
	dir             string
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// makeClip draws 12 seconds of 1080p with a burnt-in clock, and a tone.
func (d *demo) makeClip(ctx context.Context) (string, error) {
	path := filepath.Join(d.dir, "clock.mp4")
	d.say("No file given: drawing a 12 s 1080p clip with a clock and a tone …")
	cmd := exec.CommandContext(ctx, d.ffmpeg, "-v", "error", "-nostdin",
		"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=12",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=12",
		"-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", path)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("ffmpeg: %w: %s", err, msg)
	}
	return path, nil
}

func (d *demo) run(ctx context.Context, c *config, file, credit string, exit bool) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	log, err := newLogger(c, os.Stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan *endpoints, 1)
	served := make(chan error, 1)
	go func() { served <- serve(ctx, c, log, func(e *endpoints) { ready <- e }) }()
	var e *endpoints
	select {
	case e = <-ready:
	case err := <-served:
		return err
	}
	began := time.Now()
	d.say("openams %s runs on a throw-away data folder.\n", version())
	if credit != "" {
		d.say("Clip: %s (%s)", filepath.Base(file), credit)
	}
	failed, err := d.flow(ctx, e, file, info.Size())
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of the published URLs did not play", failed)
	}
	if err == nil {
		d.say("\nEverything played, %.1f s after the start.", time.Since(began).Seconds())
	}
	if err == nil && !exit {
		d.hints(e, c)
		select {
		case <-ctx.Done():
		case err := <-served:
			return err
		}
	}
	cancel()
	if stopErr := <-served; err == nil {
		err = stopErr
	}
	return err
}

// flow takes the file through the public API and returns how many of the
// published URLs did not play.
func (d *demo) flow(ctx context.Context, e *endpoints, file string, size int64) (failed int, err error) {
	c, err := newClient(e)
	if err != nil {
		return 0, err
	}
	if err := c.signIn(ctx); err != nil {
		return 0, err
	}
	type object = map[string]any
	props := func(p object) object { return object{"properties": p} }

	if err := c.call(ctx, http.MethodPut, "/assets/demo-input", props(object{"description": "what was uploaded"}), nil); err != nil {
		return 0, err
	}
	var sas struct {
		URLs []string `json:"assetContainerSasUrls"`
	}
	if err := c.call(ctx, http.MethodPost, "/assets/demo-input/listContainerSas",
		object{"permissions": "ReadWrite", "expiryTime": time.Now().Add(time.Hour).UTC()}, &sas); err != nil {
		return 0, err
	}
	if len(sas.URLs) == 0 {
		return 0, fmt.Errorf("listContainerSas gave no URL")
	}
	err = d.withBar("Uploading", size, func(set func(int64)) error {
		return c.upload(ctx, sas.URLs[0], blobName(file), file, set)
	})
	if err != nil {
		return 0, err
	}
	const recipe = "AdaptiveStreaming"
	if err := c.call(ctx, http.MethodPut, "/transforms/"+recipe, props(object{"outputs": []object{{
		"preset": object{"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": recipe}}}}), nil); err != nil {
		return 0, err
	}
	if err := c.call(ctx, http.MethodPut, "/assets/demo-output", props(object{}), nil); err != nil {
		return 0, err
	}
	job := "/transforms/" + recipe + "/jobs/demo-job"
	if err := c.call(ctx, http.MethodPut, job, props(object{
		"input":   object{"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "demo-input"},
		"outputs": []object{{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": "demo-output"}},
	}), nil); err != nil {
		return 0, err
	}
	err = d.withBar("Encoding", 100, func(set func(int64)) error {
		return c.await(ctx, job, func(percent float64) { set(int64(percent)) })
	})
	if err != nil {
		return 0, err
	}
	if err := c.call(ctx, http.MethodPut, "/streamingLocators/demo-locator", props(object{
		"assetName": "demo-output", "streamingPolicyName": "Predefined_DownloadAndClearStreaming"}), nil); err != nil {
		return 0, err
	}
	var paths struct {
		Streaming []struct {
			Protocol string   `json:"streamingProtocol"`
			Paths    []string `json:"paths"`
		} `json:"streamingPaths"`
		Download []string `json:"downloadPaths"`
	}
	if err := c.call(ctx, http.MethodPost, "/streamingLocators/demo-locator/listPaths", nil, &paths); err != nil {
		return 0, err
	}
	d.say("\nPlaying what was published:")
	play := func(name, path string) {
		target := e.StreamingEndpoint + path
		var p *playback
		var err error
		if name == "SmoothStreaming" {
			p, err = playSmooth(ctx, c.http, d.ffprobe, target)
		} else {
			p, err = probeURL(ctx, d.ffprobe, target, nil)
		}
		if err != nil {
			failed++
			d.say("  FAILED %-15s %s\n         %v", name, target, err)
			return
		}
		d.say("  ok     %-15s %s\n         %s", name, target, p)
	}
	kinds := map[string]bool{}
	for _, s := range paths.Streaming {
		kinds[s.Protocol] = true
		for _, p := range s.Paths {
			play(s.Protocol, p)
		}
	}
	for _, p := range paths.Download {
		if strings.HasSuffix(p, ".mp4") {
			play("Download", p)
		}
	}
	for _, want := range []string{"Hls", "Dash", "SmoothStreaming"} {
		if !kinds[want] {
			failed++
			d.say("  FAILED %-15s no path was published", want)
		}
	}
	return failed, ctx.Err()
}

// hints says what to try next.
func (d *demo) hints(e *endpoints, c *config) {
	ffplay := "ffplay"
	if o := hlsOptions(context.Background(), d.ffprobe); o != nil {
		ffplay += " -extension_picky 0"
	}
	d.say(`
Try next:
  %[4]s URL      any of the URLs above but Smooth
  dash.js, hls.js or Shaka Player with them: media answers every origin
  curl --cacert %[1]s %[2]s/livez
  your own AMS code: clients find all they need in
      %[3]s
  VIDEO=clip.mov make demo      the same with your own clip

Press Ctrl-C to stop; the data folder goes with it.`, e.CAFile, e.Management, endpointsFile(c.Data), ffplay)
}

// blobName is a file's name as an asset may carry it.
func blobName(path string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`<>:"|?*\`, r) {
			return '_'
		}
		return r
	}, filepath.Base(path))
}

// withBar shows the progress of work, in place on a terminal, else as one
// line when it is done.
func (d *demo) withBar(title string, total int64, work func(set func(int64)) error) error {
	began := time.Now()
	if !d.terminal {
		if err := work(func(int64) {}); err != nil {
			return err
		}
		d.say("%-10s done in %.1f s", title, time.Since(began).Seconds())
		return nil
	}
	p := mpb.New(mpb.WithOutput(d.out), mpb.WithWidth(48))
	bar := p.AddBar(total,
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-10s ", title)), decor.Percentage(decor.WC{W: 5})),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	err := work(bar.SetCurrent)
	if err != nil {
		bar.Abort(false)
	} else {
		bar.SetTotal(total, true)
		bar.SetCurrent(total)
	}
	p.Wait()
	return err
}
