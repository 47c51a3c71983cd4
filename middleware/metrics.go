package middleware

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts requests per listener, method and class of status.
type Metrics struct {
	requests *prometheus.CounterVec   // listener, method, status
	bytes    *prometheus.CounterVec   // listener
	duration *prometheus.HistogramVec // listener
	inFlight *prometheus.GaugeVec     // listener
}

// NewMetrics registers the metrics of HTTP listeners with reg. One Metrics
// serves all listeners of a process.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "openams_http_requests_total",
			Help: "Requests answered, by listener, method and class of status.",
		}, []string{"listener", "method", "status"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "openams_http_response_bytes_total",
			Help: "Bytes of response bodies sent, by listener.",
		}, []string{"listener"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "openams_http_request_duration_seconds",
			Help:    "Time from the request's headers to the end of its answer, by listener.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"listener"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "openams_http_requests_in_flight",
			Help: "Requests being answered now, by listener.",
		}, []string{"listener"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.bytes, m.duration, m.inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// begin counts a request in and returns what counts it out. A nil m counts
// nothing.
func (m *Metrics) begin(listener string) func(method string, status int, bytes int64, took time.Duration) {
	if m == nil {
		return func(string, int, int64, time.Duration) {}
	}
	inFlight := m.inFlight.WithLabelValues(listener)
	inFlight.Inc()
	return func(method string, status int, bytes int64, took time.Duration) {
		inFlight.Dec()
		m.requests.WithLabelValues(listener, knownMethod(method), class(status)).Inc()
		m.bytes.WithLabelValues(listener).Add(float64(bytes))
		m.duration.WithLabelValues(listener).Observe(took.Seconds())
	}
}

// knownMethod keeps a client from making a time series of every word it sends.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost,
		http.MethodPatch, http.MethodDelete, http.MethodOptions, "MERGE":
		return m
	}
	return "other"
}

func class(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	}
	return "5xx"
}
