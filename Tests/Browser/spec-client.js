// WebSocket connection
const ws = new WebSocket('wss://api.dysonnetwork.com/ws');

// Authentication (implement based on your auth system)
ws.onopen = () => {
    ws.send(JSON.stringify({
        type: 'auth',
        token: 'your-jwt-token'
    }));
};

// Handle task events
ws.onmessage = (event) => {
    const packet = JSON.parse(event.data);

    switch (packet.type) {
        case 'task.progress':
            updateProgressBar(packet.data);
            break;
        case 'task.completed':
            showSuccessNotification(packet.data);
            break;
        case 'task.failed':
            showErrorNotification(packet.data);
            break;
    }
};

function updateProgressBar(data) {
    const progressBar = document.getElementById(`progress-${data.taskId}`);
    if (progressBar) {
        progressBar.style.width = `${data.progress}%`;
        progressBar.textContent = `${data.progress.toFixed(1)}%`;
    }
}
