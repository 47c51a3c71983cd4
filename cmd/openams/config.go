package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/openams/openams/account"
	"github.com/openams/openams/encoder"
)

// A config is everything that a user may set. Flags win over OPENAMS_…
// variables, which win over the YAML file; the names are the same in all
// three (OPENAMS_HTTPS_PORT is --https-port is https-port).
type config struct {
	Data          string `koanf:"data"`
	Role          string `koanf:"role"`
	Shared        string `koanf:"shared"`
	Database      string `koanf:"database"`
	Listen        string `koanf:"listen"`
	Host          string `koanf:"host"`
	HTTPSPort     int    `koanf:"https-port"`
	HTTPPort      int    `koanf:"http-port"`
	BlobPort      int    `koanf:"blob-port"`
	BlobTLSPort   int    `koanf:"blob-tls-port"`
	StreamingPort int    `koanf:"streaming-port"`
	TLSCert       string `koanf:"tls-cert"`
	TLSKey        string `koanf:"tls-key"`
	FFmpeg        string `koanf:"ffmpeg"`
	FFprobe       string `koanf:"ffprobe"`
	FFmpegMemory  int64  `koanf:"ffmpeg-memory"`
	Hardware      string `koanf:"hardware"`

	// Programs for what ffmpeg cannot do, docs/plugins.md.
	SpeechCommand     string        `koanf:"speech-command"`
	FacesCommand      string        `koanf:"faces-command"`
	OCRCommand        string        `koanf:"ocr-command"`
	MotionCommand     string        `koanf:"motion-command"`
	ModerationCommand string        `koanf:"moderation-command"`
	CommandReads      []string      `koanf:"command-reads"`
	CommandTimeout    time.Duration `koanf:"command-timeout"`
	CommandMemory     int64         `koanf:"command-memory"`

	Workers      int      `koanf:"workers"`
	Lanes        int      `koanf:"lanes"`
	EarlyPlay    bool     `koanf:"early-play"`
	InputHosts   []string `koanf:"allow-input-host"`
	LogLevel     string   `koanf:"log-level"`
	LogFormat    string   `koanf:"log-format"`
	RedirectURLs []string `koanf:"redirect-url"`
	RateLimit    float64  `koanf:"rate-limit"`

	V2RedirectHosts []string `koanf:"v2-redirect-host"`
	AudioCache      int64    `koanf:"audio-cache"`

	KeepJobs time.Duration `koanf:"keep-jobs"`

	KeyDeliveryURL string `koanf:"key-delivery-url"`
	PlayReadyURL   string `koanf:"playready-license-url"`
	WidevineURL    string `koanf:"widevine-license-url"`
	FairPlayURL    string `koanf:"fairplay-license-url"`

	// In the file alone: lists of structures make no good flags.
	Limits    account.Limits `koanf:"-"`
	Webhooks  []webhook      `koanf:"-"`
	Providers []oidcProvider `koanf:"-"`

	// Headers for the licence servers, which may hold secrets: in the file alone.
	PlayReadyHeaders, WidevineHeaders, FairPlayHeaders map[string]string `koanf:"-"`
}

// A webhook is told of jobs (docs/events.md).
type webhook struct {
	Name     string   `koanf:"name"`
	URL      string   `koanf:"url"`
	Schema   string   `koanf:"schema"`
	Secret   string   `koanf:"secret"`
	Types    []string `koanf:"types"`
	Accounts []string `koanf:"accounts"`
	Confirm  string   `koanf:"confirm"`
}

// An oidcProvider issues tokens that the management API takes besides ours.
type oidcProvider struct {
	Issuer    string   `koanf:"issuer"`
	Discovery string   `koanf:"discovery"`
	Audiences []string `koanf:"audiences"`
	RoleClaim string   `koanf:"role-claim"`
	Roles     []string `koanf:"roles"` // VALUE=ROLE[@SCOPE]
}

// sameName matches a key of the file with a field: its tag, or, where the
// structure is not of this package, its name: files-per-asset.
func sameName(key, field string) bool {
	return key == field || strings.EqualFold(strings.ReplaceAll(key, "-", ""), field)
}

func serverFlags(f *pflag.FlagSet) {
	f.String("data", "", "data folder; made when missing")
	f.String("config", "", "YAML `FILE` with the same names as these flags")
	f.String("role", "all", "all, or worker: only encode for a server with the same --database")
	f.String("shared", "", "data folder of the server that a --role worker works for")
	f.String("database", "", "postgres://… URL for the records; empty: SQLite in the data folder (better in OPENAMS_DATABASE or the file: the URL holds a password)")
	f.String("listen", "127.0.0.1", "address to listen on; 0.0.0.0 for every interface")
	f.String("host", "localhost", "host name that clients use, for certificates and published URLs")
	f.Int("https-port", 8443, "management API, tokens; TLS (0: any free port, as for all ports)")
	f.Int("http-port", 8080, "the same without TLS")
	f.Int("blob-port", 10000, "blob storage")
	f.Int("blob-tls-port", 10001, "blob storage with TLS")
	f.Int("streaming-port", 8888, "streaming and keys, TLS and plain HTTP on one port")
	f.String("tls-cert", "", "PEM `FILE` with a certificate chain to use instead of the generated one")
	f.String("tls-key", "", "PEM `FILE` with the key of --tls-cert")
	f.String("ffmpeg", "ffmpeg", "ffmpeg program")
	f.String("ffprobe", "ffprobe", "ffprobe program")
	f.String("hardware", "off", "encoders in hardware to use where a trial works: off, auto, or some of ffmpeg's (h264_nvenc,hevc_nvenc)")
	f.Int64("ffmpeg-memory", 0, "MiB that one ffmpeg may use (0: three quarters of the machine's)")
	f.String("speech-command", "", "program and arguments for speech to text, called as whisper.cpp's whisper-cli is (docs/plugins.md)")
	f.String("faces-command", "", "program and arguments that find faces")
	f.String("ocr-command", "", "program and arguments that read text in pictures")
	f.String("motion-command", "", "program and arguments that find motion")
	f.String("moderation-command", "", "program and arguments that judge pictures")
	f.StringSlice("command-reads", nil, "file or folder that these programs read besides the system's: models, libraries")
	f.Duration("command-timeout", encoder.DefaultTimeout, "how long one of these programs may take for a file")
	f.Int64("command-memory", 0, "MiB that one of these programs may use (0: as much as ffmpeg)")
	f.Int("workers", max(1, runtime.NumCPU()/2), "encoding tasks at the same time")
	f.Int("lanes", 0, "chunks of a long encode made at the same time (0: so that the workers fill the processor; 1: in one piece)")
	f.Bool("early-play", false, "outputs play while they are encoded, lowest bitrate first (a job's correlationData may say openams.earlyPlay)")
	f.StringSlice("allow-input-host", nil, "host name or CIDR of private networks that job inputs may be fetched from")
	f.StringSlice("redirect-url", nil, "URL that a sign-in page may return to, besides those of this machine")
	f.StringSlice("v2-redirect-host", nil, "host name such as media.windows.net under which every v2 request is answered by a 301 to the root of the v2 API")
	f.Float64("rate-limit", 0, "management calls per second of one caller (0: 1000; negative: no limit)")
	f.String("key-delivery-url", "", "URL of key delivery that manifests name; empty: /keys where the manifest was asked for")
	f.String("playready-license-url", "", "PlayReady licence server to forward authorised requests to; {ContentKeyId} is replaced")
	f.String("widevine-license-url", "", "the same for Widevine")
	f.String("fairplay-license-url", "", "the same for FairPlay")
	f.Int64("audio-cache", 4096, "MiB in the data folder for the audio of MP4s made elsewhere, laid out so that it streams cheaply (0: none)")
	f.Duration("keep-jobs", 90*24*time.Hour, "how long the records of ended jobs are kept (negative: for ever)")
	f.String("log-level", "info", "debug, info, warn or error")
	f.String("log-format", "auto", "text, json, or auto: text on a terminal")
}

// loadConfig layers flags over environment over file, refusing names that
// mean nothing: a misspelt setting must not be silently without effect.
func loadConfig(flags *pflag.FlagSet) (*config, error) {
	var c config
	k := koanf.New("\x00") // no nesting: a key is a flag's name
	known := func(name string) bool {
		f := flags.Lookup(name)
		return f != nil && name != "config" && name != "help"
	}
	path, _ := flags.GetString("config")
	if path == "" {
		path = os.Getenv("OPENAMS_CONFIG")
	}
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("configuration file %s: %w", path, err)
		}
		structured := map[string]any{
			"webhooks": &c.Webhooks, "oidc-providers": &c.Providers, "limits": &c.Limits,
			"playready-license-headers": &c.PlayReadyHeaders,
			"widevine-license-headers":  &c.WidevineHeaders,
			"fairplay-license-headers":  &c.FairPlayHeaders,
		}
		for _, key := range k.Keys() {
			key, _, _ = strings.Cut(key, "\x00") // what is below is checked with the structure
			if structured[key] == nil && !known(key) {
				return nil, fmt.Errorf("configuration file %s: unknown key %q", path, key)
			}
		}
		for key, into := range structured {
			strict := koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{Result: into, TagName: "koanf", ErrorUnused: true, MatchName: sameName}}
			if err := k.UnmarshalWithConf(key, into, strict); err != nil {
				return nil, fmt.Errorf("configuration file %s: %s: %w", path, key, err)
			}
		}
	}
	var unknown []string
	err := k.Load(env.Provider("\x00", env.Opt{Prefix: "OPENAMS_", TransformFunc: func(key, value string) (string, any) {
		name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(key, "OPENAMS_")), "_", "-")
		switch {
		case name == "config", strings.HasPrefix(name, "test-"): // OPENAMS_TEST_… belong to the tests
			return "", nil
		case !known(name):
			unknown = append(unknown, key)
			return "", nil
		case flags.Lookup(name).Value.Type() == "stringSlice":
			return name, strings.Split(value, ",")
		}
		return name, value
	}}), nil)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("unknown setting in the environment: %s", strings.Join(unknown, ", "))
	}
	if err := k.Load(posflag.Provider(flags, "\x00", k), nil); err != nil {
		return nil, err
	}
	if err := k.Unmarshal("", &c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return &c, c.validate()
}

func (c *config) validate() error {
	if c.Data == "" {
		return fmt.Errorf("which data folder? Say --data DIR (or OPENAMS_DATA)")
	}
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	if net.ParseIP(c.Listen) == nil {
		return fmt.Errorf("--listen %q is not an IP address", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("--tls-cert and --tls-key belong together")
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return fmt.Errorf("--database is not a postgres:// URL")
	}
	switch c.Role {
	case "all":
		if c.Shared != "" {
			return fmt.Errorf("--shared is for --role worker; a server of all roles has its own --data")
		}
	case "worker":
		if c.Shared == "" || c.Database == "" {
			return fmt.Errorf("--role worker needs --shared DIR and --database URL, those of the server that it works for")
		}
	default:
		return fmt.Errorf("--role %q is not all or worker", c.Role)
	}
	if c.AudioCache < 0 || c.AudioCache > 1<<30 {
		return fmt.Errorf("--audio-cache %d is no size in MiB", c.AudioCache)
	}
	if c.CommandTimeout < 0 || c.CommandMemory < 0 || c.CommandMemory > 1<<40 {
		return fmt.Errorf("--command-timeout and --command-memory are not negative")
	}
	if c.Workers < 0 || c.Workers > 256 {
		return fmt.Errorf("--workers %d is not between 0 and 256", c.Workers)
	}
	if c.Lanes < 0 || c.Lanes > 256 {
		return fmt.Errorf("--lanes %d is not between 0 and 256", c.Lanes)
	}
	for name, port := range map[string]int{"https-port": c.HTTPSPort, "http-port": c.HTTPPort, "blob-port": c.BlobPort, "blob-tls-port": c.BlobTLSPort, "streaming-port": c.StreamingPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("--%s %s is not a port", name, strconv.Itoa(port))
		}
	}
	return nil
}
