// dash.js: AbrController with its rules (throughput and BOLA by turns, insufficient buffer, switch history, abandoned requests), ThroughputController and
// the default settings, all but the lengths of the buffer, which are the simulator's; with stubs around them.
//
// What StreamProcessor and BufferController do about them is done here as they have it: quality is checked once before each segment; after an abandoned
// request not at all; each switch fetches the initialization segment first, without another check; after a switch to a higher quality segments that
// are buffered in a lower one are fetched again (fast switching, on by default): from the one that plays on in 5.2.1, where the one and a half segments
// that it means to leave are multiplied by a null. Downloads are measured by resource timing, as where the server allows it.
import { elapsed, date } from './clock.mjs';
import { sources, version } from './dash-sources.mjs';

const TYPE = 'video';
const STREAM = { id: 'stream', index: 0, manifestInfo: { duration: 0, isDynamic: false } };

const [
  AbrController, ThroughputController, MediaPlayerModel, Settings, EventBus, CoreEvents, MediaPlayerEvents, Representation, MetricsConstants,
] = await sources(
  'streaming/controllers/AbrController.js', 'streaming/controllers/ThroughputController.js', 'streaming/models/MediaPlayerModel.js', 'core/Settings.js',
  'core/EventBus.js', 'core/events/Events.js', 'streaming/MediaPlayerEvents.js', 'dash/vo/Representation.js', 'streaming/constants/MetricsConstants.js',
);

class Player {
  name = `dash.js ${version()}`;

  begin({ kbps, segment, segments, ahead }) {
    this.abr?.reset();
    this.throughput?.reset();
    // All that is single is so in its context.
    const context = {};
    const settings = Settings(context).getInstance();
    // ScheduleController fetches what fits below this.
    const most = ahead + segment;
    settings.update({ streaming: { buffer: { bufferTimeDefault: most, bufferTimeAtTopQuality: most, bufferTimeAtTopQualityLongForm: most } } });
    this.settings = settings;
    this.segment = segment;
    this.state = { position: 0, buffer: 0 };
    this.bufferState = null;
    this.request = null;
    /** Of each segment: the representation that it was fetched in last. */
    this.executed = [];
    this.again = null;
    this.abandoned = false;
    /** The representation whose initialization segment came last, and whether that was just now. */
    this.initialized = null;
    this.fresh = false;
    this.delay = 0;

    const streamInfo = { ...STREAM, manifestInfo: { duration: segment * segments, isDynamic: false } };
    const mediaInfo = { id: 0, index: 0, type: TYPE, streamInfo, isText: false };
    const representations = (fragmentDuration) => kbps.map((k, i) => Object.assign(new Representation(), {
      id: `v${i}`, absoluteIndex: i, bandwidth: k * 1000, bitrateInKbit: k, mediaInfo, fragmentDuration, segmentDuration: segment,
    }));
    // RepresentationController's; the adapter makes others each time it is asked, and those lack the duration.
    this.representations = representations(segment);

    const playback = {
      getTime: () => this.state.position, getLiveDelay: () => NaN, getLowLatencyModeEnabled: () => false, getIsDynamic: () => false, isPaused: () => false,
      isSeeking: () => false, getPlaybackRate: () => 1,
    };
    const model = MediaPlayerModel(context).getInstance();
    model.setConfig({ playbackController: playback, serviceDescriptionController: { getServiceDescriptionSettings: () => null } });
    this.model = model;
    const throughput = ThroughputController(context).getInstance();
    throughput.setConfig({ settings, playbackController: playback });
    throughput.initialize();
    this.throughput = throughput;

    const schedule = { setTimeToLoadDelay: (ms) => { this.delay = ms; }, getTimeToLoadDelay: () => this.delay, getPlaybackController: () => playback };
    const processor = {
      getStreamInfo: () => streamInfo, getLastSegment: () => null, getAllMediaInfos: () => [mediaInfo], getRepresentation: () => this.current,
      getRepresentationController: () => ({ getCurrentRepresentation: () => this.current, getCurrentCompositeRepresentation: () => this.current }),
      getScheduleController: () => schedule, getFragmentModel: () => ({ getRequests: () => (this.request ? [this.request] : []) }),
    };
    const abr = AbrController(context).getInstance();
    abr.setConfig({
      settings, mediaPlayerModel: model, throughputController: throughput,
      adapter: { getVoRepresentations: () => representations(new Representation().fragmentDuration), areMediaInfosEqual: (a, b) => a === b },
      capabilities: { areKeyIdsUsable: () => true },
      customParametersModel: { getAbrCustomRules: () => [] },
      dashMetrics: { getCurrentBufferLevel: () => this.state.buffer, getCurrentBufferState: () => this.bufferState && { state: this.bufferState } },
      domStorage: { getSavedBitrateSettings: () => NaN, setSavedBitrateSettings: () => {} },
      streamController: { getActiveStreamInfo: () => streamInfo },
      videoModel: { getPlaybackQuality: () => null },
    });
    abr.initialize();
    abr.registerStreamType(TYPE, processor);
    this.abr = abr;
    this.current = this.representations[abr.getOptimalRepresentationForBitrate(mediaInfo, abr.getInitialBitrateFor(TYPE), true).absoluteIndex];
    this.bus = EventBus(context).getInstance();
    this.bus.on(MediaPlayerEvents.QUALITY_CHANGE_REQUESTED, (event) => this.#switch(event));
  }

  /** StreamProcessor.prepareQualityChange. */
  #switch({ newRepresentation, reason }) {
    this.current = this.representations[newRepresentation.absoluteIndex];
    if (reason?.forceAbandon) {
      this.abandoned = true;
      return;
    }
    if (!this.model.getFastSwitchEnabled()) return;
    const { position, buffer } = this.state;
    const { fragmentDuration } = newRepresentation;
    const safe = 1.5 * (Number.isNaN(Number(fragmentDuration)) ? 1 : fragmentDuration);
    const segment = Math.floor((position + safe) / this.segment);
    const buffered = this.executed[segment];
    if (buffered && buffered.bandwidth < newRepresentation.bandwidth && buffer >= safe
      && this.abr.getAbandonmentStateFor(STREAM.id, TYPE) === MetricsConstants.ALLOW_LOAD) this.again = segment;
  }

  #trigger(event, payload) { this.bus.trigger(event, payload, { streamId: STREAM.id, mediaType: TYPE }); }

  update({ loaded, total, first, ...state }) {
    this.state = state;
    const { settings, request } = this;
    this.#trigger(MediaPlayerEvents.METRIC_ADDED, { metric: MetricsConstants.BUFFER_LEVEL, mediaType: TYPE, value: { level: state.buffer * 1000 } });
    const empty = state.buffer <= settings.get().streaming.buffer.stallThreshold;
    const bufferState = empty ? MetricsConstants.BUFFER_EMPTY : MetricsConstants.BUFFER_LOADED;
    // BufferController: not while nothing has played.
    if (bufferState !== this.bufferState && !(empty && state.position === 0)) {
      this.bufferState = bufferState;
      this.#trigger(empty ? MediaPlayerEvents.BUFFER_EMPTY : MediaPlayerEvents.BUFFER_LOADED, {});
    }
    if (!request || loaded === undefined) return;
    if (first !== null && !request.firstByteDate) request.firstByteDate = date(first);
    if (loaded > request.bytesLoaded) {
      request.traces.push({ s: date(request.tracedAt), d: elapsed() - request.tracedAt, b: [loaded - request.bytesLoaded] });
      request.tracedAt = elapsed();
    }
    Object.assign(request, { bytesLoaded: loaded, bytesTotal: total ?? NaN, first });
  }

  next(segment) {
    if (this.abandoned) this.abandoned = false;
    else if (!this.fresh) this.abr.checkPlaybackQuality(TYPE, STREAM.id);
    this.fresh = this.current !== this.initialized;
    this.initialized = this.current;
    if (this.fresh) return { small: true };
    const index = this.again ?? segment;
    this.again = null;
    const delay = this.delay;
    this.delay = 0;
    const start = elapsed() + delay;
    this.request = {
      index, mediaType: TYPE, representation: this.current, duration: this.segment, startTime: index * this.segment, start, firstByteDate: null, first: null,
      bytesLoaded: 0, bytesTotal: NaN, traces: [], tracedAt: start,
    };
    return { quality: this.current.absoluteIndex, segment: index, delay: delay / 1000 };
  }

  progress() {
    const { request } = this;
    // A browser tells of progress when there is some.
    if (!request.traces.length) return false;
    this.#trigger(CoreEvents.LOADING_PROGRESS, { request });
    if (!this.abandoned) return false;
    this.#metric(null);
    this.request = null;
    this.#trigger(MediaPlayerEvents.FRAGMENT_LOADING_ABANDONED, { request });
    return true;
  }

  #metric(timing) {
    const { request } = this;
    const value = {
      type: 'MediaSegment', url: '', trace: request.traces, trequest: date(request.start), tresponse: request.firstByteDate ?? date(request.start), _tfinish: date(elapsed()),
      _streamId: STREAM.id, _resourceTimingValues: timing,
    };
    this.#trigger(MediaPlayerEvents.METRIC_ADDED, { metric: MetricsConstants.HTTP_REQUEST, mediaType: TYPE, value });
  }

  loaded() {
    const { request } = this;
    const { representation, startTime, index } = request;
    this.executed[index] = representation;
    this.#metric({ transferSize: request.bytesTotal, decodedBodySize: request.bytesTotal, responseStart: request.first, responseEnd: elapsed() });
    this.request = null;
    this.#trigger(CoreEvents.MEDIA_FRAGMENT_LOADED, { chunk: { representation, start: startTime, duration: this.segment } });
    this.#trigger(CoreEvents.BYTES_APPENDED_END_FRAGMENT, { startTime });
  }

  estimate() { return this.throughput.getAverageThroughput(TYPE); }
}

export const load = () => new Player();
