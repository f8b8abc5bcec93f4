//! `driftless sandbox`: starts everything, tells what happens, and takes everything away again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificate::Certificate;
use super::cluster::Cluster;
use super::folder::{self, Folder};
use super::load::Load;
use super::objects;
use super::progress::{Line, Progress, Tone};
use super::replicas::{News, Replica};
use super::screen::Screen;
use super::state::{self, ReplicaState, State};
use super::tour::{self, Places};
use super::{Start, front, repository};
use crate::cli::error::CommandError;
use crate::sim::serve::Face;

/// Port of the leader's API where it is free: that of `driftless get`.
const API_PORT: u16 = 8081;
/// What the API server holds, where it is kept.
const STATE_FILE: &str = "api-server.redb";
/// How many agents there are.
const REPLICAS: usize = 2;
/// How long all Applications may take to be Synced and Healthy before the tour begins without.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for each object of a load.
const PATIENCE_PER_OBJECT: Duration = Duration::from_millis(20);
/// Events of watches and agents that wait to be told.
const QUEUE: usize = 1024;
/// How long threads are waited for at the end.
const SHUTDOWN: Duration = Duration::from_secs(1);
/// Lines of a log that are shown when an agent can't run.
const LOG_LINES: usize = 20;

pub(super) fn run(start: &Start) -> Result<ExitCode, CommandError> {
    let load = Load::new(start.objects, start.apps)?;
    let folder = Folder::take(start.data.as_deref().or(start.dir.as_deref()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failure(format_args!("threads can't be started: {error}")))?;
    let done = runtime.block_on(sandbox(start, load, &folder));
    runtime.shutdown_timeout(SHUTDOWN);
    done.map(|()| ExitCode::SUCCESS)
}

async fn sandbox(start: &Start, load: Load, folder: &Folder) -> Result<(), CommandError> {
    let stopped = stop_signal()?;
    let mut screen = Screen::new(start.output);
    let begun = Instant::now();
    let certificate = Certificate::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, start.port)).await.map_err(|error| {
        CommandError::failure(format_args!("the API server can't listen on 127.0.0.1:{}: {error}", start.port))
            .hint("--port names another port; 0 is any that is free")
    })?;
    let address = listener.local_addr().map_err(CommandError::failure)?;
    let server = format!("https://{address}");
    let file = start.data.as_ref().map(|_| folder.path().join(STATE_FILE));
    if let Some(file) = &file {
        folder::make_private(file)?;
    }
    let cluster = Cluster::new(file.as_deref())?;
    let users = [("sandbox", cluster.person.as_str()), ("agent", cluster.agent.as_str())];
    let kubeconfig = state::write_kubeconfig(folder.path(), &server, &certificate.authority, &users)?;
    let (tasks, ends) = (TaskTracker::new(), CancellationToken::new());
    let face = Face { tls: Some(certificate.server) };
    let shared = cluster.shared();
    let serving = ends.clone();
    tasks.spawn(async move { shared.serve_as(&face, listener, serving).await });

    let pid = std::process::id();
    let state = State { pid, server, kubeconfig, api: None, repository: None, replicas: Vec::new(), ready: false };
    let mut running = Running {
        folder,
        cluster,
        load,
        state,
        screen: &mut screen,
        progress: Progress::default(),
        kept: start.data.is_some(),
        leader: watch::Sender::new(None),
        begun,
    };
    let done =
        if start.no_agent { running.without_agents(&stopped).await } else { running.with_agents(&stopped).await };
    // The server goes last: the agents give their Lease away.
    ends.cancel();
    tasks.close();
    tasks.wait().await;
    done
}

/// A sandbox that runs.
struct Running<'s> {
    folder: &'s Folder,
    cluster: Cluster,
    load: Load,
    state: State,
    screen: &'s mut Screen,
    progress: Progress,
    /// The API server goes on with what an earlier one held, and so do the agents.
    kept: bool,
    /// Where the API of the replica that leads is.
    leader: watch::Sender<Option<SocketAddr>>,
    begun: Instant,
}

impl Running<'_> {
    async fn without_agents(&mut self, stopped: &CancellationToken) -> Result<(), CommandError> {
        for app in self.load.apps() {
            let (path, namespace) = objects::namespace(&app.name);
            self.cluster.apply(&path, &namespace).await?;
            for (name, object) in app.config_maps() {
                if stopped.is_cancelled() {
                    return Ok(());
                }
                self.cluster.apply(&format!("/api/v1/namespaces/{}/configmaps/{name}", app.name), &object).await?;
            }
        }
        self.state.ready = true;
        self.state.write(self.folder.path())?;
        let kubeconfig = tour::quoted(&self.state.kubeconfig.display().to_string());
        self.screen.text(&format!(
            "The API server listens on {} and is empty but for what was asked for.\n\n  \
             kubectl --kubeconfig {kubeconfig} get namespaces\n\nCtrl-C ends it.",
            self.state.server
        ));
        self.tell_programs()?;
        stopped.cancelled().await;
        Ok(())
    }

    async fn with_agents(&mut self, stopped: &CancellationToken) -> Result<(), CommandError> {
        let path = self.folder.path().join("repository");
        let (place, load) = (path.clone(), self.load);
        tokio::task::spawn_blocking(move || repository::make(&place, &load)).await.map_err(CommandError::failure)??;
        for (path, object) in objects::for_agents(&path, &self.load) {
            self.cluster.apply(&path, &object).await?;
        }
        self.state.repository = Some(path);
        let replicas = self.replicas()?;
        let (ends, tasks) = (CancellationToken::new(), TaskTracker::new());
        let front = self.front().await?;
        tasks.spawn(front::pass_on(front, self.leader.subscribe(), ends.clone()));
        let (tell, mut told) = mpsc::channel(QUEUE);
        for replica in &replicas {
            tasks.spawn(replica.clone().keep(tell.clone(), ends.clone()));
        }
        drop(tell);
        let done = self.follow(&replicas, &mut told, stopped).await;
        if stopped.is_cancelled() {
            self.screen.text("Stopping ...");
        }
        ends.cancel();
        // Nobody is told any more.
        drop(told);
        tasks.close();
        tasks.wait().await;
        done
    }

    fn replicas(&mut self) -> Result<Vec<Replica>, CommandError> {
        let mut replicas = Vec::new();
        for number in 0..REPLICAS {
            let replica = Replica::new(number, self.folder.path(), &self.state.kubeconfig)
                .map_err(|error| CommandError::failure(format_args!("an agent can't be started: {error}")))?;
            if !self.kept {
                replica.forget().map_err(|error| {
                    CommandError::failure(format_args!("what {} kept can't be removed: {error}", replica.name))
                })?;
            }
            let api = format!("http://{}", replica.api);
            self.state.replicas.push(ReplicaState { name: replica.name.clone(), pid: None, api, leader: false });
            replicas.push(replica);
        }
        Ok(replicas)
    }

    /// Where the API of whoever leads will be reached.
    async fn front(&mut self) -> Result<TcpListener, CommandError> {
        let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, API_PORT)).await;
        let listener = match usual {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
        };
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound
            .map_err(|error| CommandError::failure(format_args!("there is no port for the agents' API: {error}")))?;
        self.state.api = Some(format!("http://{address}"));
        Ok(listener)
    }

    /// Tells what happens until it is to stop, or an agent can't be kept running.
    async fn follow(
        &mut self,
        replicas: &[Replica],
        told: &mut mpsc::Receiver<News>,
        stopped: &CancellationToken,
    ) -> Result<(), CommandError> {
        let expected = objects::applications(&self.load);
        let mut applications = self.cluster.watch(objects::APPLICATIONS_PATH).await?;
        let mut leases = self.cluster.watch(objects::LEASES_PATH).await?;
        let patience = PATIENCE + PATIENCE_PER_OBJECT * self.load.apps().map(|app| app.objects).sum::<u32>();
        let deadline = self.begun + patience;
        let mut up = false;
        self.screen.text("Waiting until all applications are Synced and Healthy ...");
        loop {
            tokio::select! {
                () = stopped.cancelled() => return Ok(()),
                event = applications.next() => match event {
                    Some(event) => self.application(&event, up),
                    // A watch lasts a day at most.
                    None => applications = self.cluster.watch(objects::APPLICATIONS_PATH).await?,
                },
                event = leases.next() => match event {
                    Some(event) => self.lease(&event, replicas, up)?,
                    None => leases = self.cluster.watch(objects::LEASES_PATH).await?,
                },
                Some(news) = told.recv() => self.news(news, replicas, up)?,
                () = tokio::time::sleep_until(deadline), if !up => {
                    up = true;
                    self.welcome(patience)?;
                }
            }
            let (well, all) = self.progress.count();
            if !up {
                self.screen.passing(&format!("  {well} of {} ...", all.max(expected)));
            }
            // An earlier sandbox has left its Applications' states, but nobody who leads.
            if !up && well == all && all >= expected && self.leader.borrow().is_some() {
                up = true;
                self.state.ready = true;
                self.welcome(patience)?;
            }
        }
    }

    /// Everything is up, or has had its time.
    fn welcome(&mut self, patience: Duration) -> Result<(), CommandError> {
        let took = self.begun.elapsed();
        let (well, all) = self.progress.count();
        if self.state.ready {
            self.screen
                .text(&format!("All {all} applications are Synced and Healthy after {:.1} s.\n", took.as_secs_f32()));
        } else {
            self.screen
                .text(&format!("{well} of {all} applications are Synced and Healthy after {} s:", patience.as_secs()));
            let unwell: Vec<String> = self.progress.unwell().collect();
            self.screen.text(&format!("  {}\n", unwell.join("\n  ")));
        }
        self.state.write(self.folder.path())?;
        let usual = format!("http://127.0.0.1:{API_PORT}");
        let api = self.state.api.clone().unwrap_or_default();
        let here = self.folder.path();
        let places = Places {
            driftless: program(),
            folder: here.display().to_string(),
            named: folder::usual().canonicalize().ok().as_deref() != Some(here),
            api: Some(api.clone()).filter(|api| *api != usual),
            kubectl: on_path("kubectl"),
        };
        self.screen.text(tour::text(&tour::tour(&places)).trim_end());
        self.screen.text(&format!("\nThe HTTP API of the agent that leads: {api}/api/v1/applications"));
        let fate = if self.folder.stays() { "stays" } else { "is removed then" };
        self.screen.text(&format!("Ctrl-C ends everything; {} {fate}. What happens:\n", here.display()));
        self.tell_programs()
    }

    fn tell_programs(&mut self) -> Result<(), CommandError> {
        let line = serde_json::to_string(&self.state).map_err(CommandError::failure)?;
        self.screen.json(&line);
        Ok(())
    }

    fn application(&mut self, event: &Value, up: bool) {
        if let Some(line) = self.progress.application(event)
            && up
        {
            self.screen.line(&line);
        }
    }

    fn lease(&mut self, event: &Value, replicas: &[Replica], up: bool) -> Result<(), CommandError> {
        let Some(leader) = self.progress.lease(event) else { return Ok(()) };
        for replica in &mut self.state.replicas {
            replica.leader = leader.as_ref() == Some(&replica.name);
        }
        let leading = replicas.iter().find(|replica| leader.as_ref() == Some(&replica.name));
        self.leader.send_replace(leading.map(|replica| replica.api));
        self.state.write(self.folder.path())?;
        if let Some(name) = leader.filter(|_| up) {
            self.screen.line(&Line { subject: name, text: "leads".to_owned(), tone: Tone::Good });
        }
        Ok(())
    }

    fn news(&mut self, news: News, replicas: &[Replica], up: bool) -> Result<(), CommandError> {
        let (number, pid, text, tone) = match news {
            News::Notice(line) => {
                if up {
                    self.screen.line(&line);
                }
                return Ok(());
            }
            News::Started(number, pid) => (number, Some(pid), format!("runs as process {pid}"), Tone::Good),
            News::Ended(number, how) => {
                (number, None, format!("has ended ({how}), and will be started again"), Tone::Bad)
            }
            News::Broken(number, how) => {
                let Some(replica) = replicas.get(number) else { return Ok(()) };
                let problem = format!("{} ends again and again: {how}\n{}", replica.name, end_of(&replica.log));
                return Err(CommandError::failure(problem));
            }
        };
        let Some(replica) = self.state.replicas.get_mut(number) else { return Ok(()) };
        replica.pid = pid;
        let subject = replica.name.clone();
        if up {
            self.screen.line(&Line { subject, text, tone });
        }
        self.state.write(self.folder.path())
    }
}

/// A token that is cancelled by the signals that end a program.
fn stop_signal() -> Result<CancellationToken, CommandError> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let token = CancellationToken::new();
    for kind in kinds {
        let mut stream =
            signal(kind).map_err(|error| CommandError::failure(format_args!("signals can't be handled: {error}")))?;
        let token = token.clone();
        tokio::spawn(async move {
            stream.recv().await;
            token.cancel();
        });
    }
    Ok(token)
}

/// This program as somebody types it in the folder that we were started in.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "driftless".to_owned() };
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    tour::quoted(&below.filter(|path| path.components().count() > 1).unwrap_or(path).display().to_string())
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The last lines of a log.
fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
}
