package host

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/zondarr/zondarr/host/internal/pluginhost"
)

// metrics counts what the host does, for a scraper on a listener of its own:
// never on the API's, where strangers are. No label holds a code, a name or an
// address.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(plugins func() []pluginhost.Status) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zondarr_http_request_duration_seconds", Help: "How long API requests took.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 20, 60},
		}, []string{"method", "route", "status"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.requests, pluginCollector(plugins))
	return m
}

// observe counts one request, by the pattern of its route.
func (m *metrics) observe(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// pluginCollector tells how the plugins stand when it is asked.
type pluginCollector func() []pluginhost.Status

var (
	pluginReady    = prometheus.NewDesc("zondarr_plugin_ready", "Whether the plugin serves.", []string{"plugin"}, nil)
	pluginRestarts = prometheus.NewDesc("zondarr_plugin_restarts_total", "Starts after the first since the host started.", []string{"plugin"}, nil)
)

// Describe tells the metrics of plugins.
func (c pluginCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- pluginReady
	ch <- pluginRestarts
}

// Collect tells how the plugins stand now.
func (c pluginCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c() {
		ready := 0.0
		if s.State == pluginhost.StateReady {
			ready = 1
		}
		ch <- prometheus.MustNewConstMetric(pluginReady, prometheus.GaugeValue, ready, s.Name)
		ch <- prometheus.MustNewConstMetric(pluginRestarts, prometheus.CounterValue, float64(s.Restarts), s.Name)
	}
}

// serve answers /metrics until the server is shut down.
func (m *metrics) serve(ctx context.Context, addr string) (*http.Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed, at Shutdown
	return server, nil
}
